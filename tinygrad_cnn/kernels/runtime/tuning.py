"""Tuning: the numbers that decide how work is cut, and what they were measured on.

None of them changes a result by more than rounding. Unless another machine is named, figures are of
one thread, on a processor of two cores with AVX-512 and 0.5 MB of second-level cache each,
OpenBLAS, float32, the smallest of many times. After a change call `plans.clear()`: plans remember
what they were made with.

A *grain* is how much is worth a thread, for to wake one takes 30 µs; a *block* or a tile is how
much is done at a time, so that it stays in the cache from one pass to the next.
"""

from __future__ import annotations

# ------------------------------------------------------------------------------- threads

BLAS_ALONE = 1 << 18
"""Multiplications up to which OpenBLAS itself stays on one thread: limiting it is needless."""
MATMUL_GRAIN = 1 << 21
"""Multiplications of a product, which take about 30 µs."""
JOB_GRAIN = 100_000.0
"""Estimated ns of a convolution: each thread spends 50 µs in Python for its part, in turn. At 30 µs
a step of the momentum network, batch 32, took 2.3 ms on two threads, from 60 on 1.3."""

# ------------------------------------------------------------------------------- memory, rows

LARGEST_KEPT = 1 << 30, 1 << 25
"""Bytes of freed memory that glibc is asked to keep; older versions refuse more than the second.
A step: MNIST example, batch 64, 59 ms -> 46; ResNet-20, 128, 430 -> 360; batchnorm, 1000, 186 ->
155. Page faults in these steps: 4000, 23000 and 8000 before, 0 after."""
SMALL_ARRAY = 1 << 15
"""Bytes up to which it is not worth 2 µs to let an array begin at a cache line, as BLAS reads it.
ResNet-20, batch 128, with arrays where malloc puts them and at a line, one core with 1 MB of
second-level cache: a step 335 and 320 ms, inference 93.9 and 91.8."""
FEW_COPIED = 6
"""Channels up to which a copy to channels last goes one by one: (256, 3, 16, 16) 350 µs -> 96."""
MANY_COPIED = 1 << 10
"""Positions from which that is so, and blocks from which it is worth 3 µs to look for them: pixels
of 16 channels to pooling windows, (128, 16, 28, 28), 0.71 ms -> 0.38; of 4, 2.2 -> 0.22."""
CONFLICT = 1 << 11
"""Bytes apart at which values share a line of the first cache."""
BUFFER_PIXELS, BUFFER_GAP = 256, 16
"""Pixels that fit into the first cache, and a gap between channels, where they would share a line:
(64, 128, 128) to channels last 2.9 ms -> 0.5."""
ROW = 1 << 13
"""Values of a row from which NumPy's loop over a broadcast operand costs nothing: (4, 32, 32, 16),
the ReLU 53 µs -> 10, a bias 19 along rows of 512 values and 10 along these."""

# ------------------------------------------------------------------------------- grains, ufuncs

PASS_GRAIN = 1 << 18
"""Elements of one ufunc, of a sum and of a normalisation: an addition of so many takes 30 µs. Sums
of half a million, which another thread has just written, take less time than a thread to wake
(`batchnorm`, batch 128, 2 % of a step), of two million half as long on two (ResNet-20, 362 ms ->
338)."""
GRAIN = 1 << 16
"""Elements in formulas of several steps, and in copies to another order."""
STRIDED_GRAIN = 1 << 15
"""Elements of pools, of samples at places and of softmax by columns: about 50 µs."""
FORMULA_BLOCK = 1 << 16
"""Elements of a formula of several steps: with a quarter erf's many took a third longer."""
ONE_STEP_BLOCK = 1 << 20
"""Elements of a single step, where only a mask has to stay in the cache."""
FEW_VALUES = 1 << 12
"""Elements up to which one plain call is quicker than laying out memory: a convolution of (1, 16,
14, 14), its bias and ReLU 54.9 µs with 1 << 11, 52.1 with this. Batch norm does not ask whether its
mean may be folded, which takes 5 µs: (1, 20), all of it, 22 -> 16."""
SPECIAL_BLOCK, MANY_VALUES = 1 << 12, 256
"""Elements a block of the gamma function's logarithm; and from which vectors are quicker."""

# ------------------------------------------------------------------------------- sums, blocks

BLOCK = 1 << 18
"""Elements a block of work in several passes: 1 MB of float32, the second-level cache."""
CHAIN = 256
"""Most additions of float32 in one chain, which then goes on in float64."""
CHAIN_WIDTH = 1 << 10
"""Values side by side in a row of a chain: long enough for vector instructions, and they stay in
the first-level cache."""
FEWEST_CHAINS, ONE_CHAIN = 4, 1 << 16
"""Chains at least, so that threads can share them out, of more than so many values."""
CHAINS_A_CALL = 4
"""About 1 M values: the moments of (128, 16, 32, 32) take two threads 0.37 ms, and 0.61 with one
chain a call, for each call waits for the interpreter's lock."""
WIDE_SUM = 1 << 13
"""Values below which np.sum takes less than the 15 µs of overhead of chains."""
FEW_ROWS = 256
"""Positions up to which statistics are plain operations on a matrix, and factors stay short:
statistics of (125, 20) in chains 41 µs, of the whole matrix 9."""
FOLDABLE_OFFSET = 8.0
"""Mean / deviation up to which (x − mean)·s is computed as x·s − mean·s: the rounding of the two
terms grows by no more than this factor."""
MODERATE_WEIGHTS = 1e-12, 1e12
"""Sizes of a weight between which products with it neither leave float32 nor lose digits."""
MOST_OFFSET = 32.0
"""Mean² / variance up to which squares are summed as they are: the variance of (8192, 64) is off by
4e-6 at most, of (131072, 16) by 6e-7; with 256 by 4e-5."""
PIVOT_SAMPLE = 32
"""Positions from which a pivot is estimated."""
WIDE_BLOCK = 1 << 19
"""Elements of a block of batch norm and of pools: beyond, temporaries cost page faults; below,
threads wait for the interpreter's lock. The gradient of batch norm, (1000, 16, 28, 28), by blocks
of 64 K, 256 K, 512 K and 1 M 17.3, 15.3, 14.5 and 14.8 ms."""
LONG_GROUP_ROW = 512
"""Values of a row from which group norm asks for a buffer of one row: NumPy writes a factor that is
the same along a row out for as many rows as its buffer holds, to join them. Rows of 3136 values
take half the time where it holds one; shorter ones gain by it."""
LARGE_IMAGE, BUFFERED_ROW = 1 << 15, 1 << 11
"""Values of an image from which group norm goes pixel by pixel, and of a row that leave room in the
first cache: NumPy copies rows that are shorter than its buffer to one, and a pass over 200,000
values takes 31 µs with its usual one, 16 with this."""
FAR_MEAN = 16.0
"""From how many variances the square of a mean takes digits from the sum of squares."""
WIDE_PLACES = 64
"""Values behind each place from which running sums add them as one: (1000, 512), axis 0, 4.6 ms ->
0.5."""
FEW_CLASSES = 32
"""Columns up to which softmax runs along the columns, for NumPy's loops over rows would be short:
(32768, 10), 2.5 ms -> 0.7."""
SOFTMAX_BLOCK = 1 << 15
"""Elements of that."""

# ------------------------------------------------------------------------------- convolution

TILE_BYTES = 1 << 21
"""Windows, products and padded input of a tile of a weight gradient; other tiles have twice that.
Threads wait for the interpreter's lock between tiles: (128, 16, 32, 32) → 16, 3×3, two threads,
takes 9.7 ms in tiles of 256 KB and 5.0 in tiles of 2 MB. Products in tiles of 4 MB: ResNet-20's
inference 94 ms -> 91; weight gradients too: its step 376 -> 386."""
DEPTHWISE_TILE_BYTES = 1 << 21
"""Padded input, products and results of a tile of a depthwise convolution. One core with 1 MB of
second-level cache, tiles of 0.25, 0.5, 1, 2 and 4 MB: (64, 64, 28, 28), 3×3, 7.3, 5.7, 5.5, 5.3 and
5.4 ms; (32, 96, 32, 32), stride 2, 4.7, 3.1, 2.7, 2.8 and 2.4."""
WINOGRAD_TILE_BYTES = 3 << 19
"""Transformed rows and products of a tile together: a step of ResNet-20, batch 128, in tiles of 1,
1.5, 2 and 4 MB 550, 554, 539 and 594 ms."""
PHASES_GAIN = 0.95
"""Estimated cost, of the convolution's, from which it is done in phases without stride or dilation:
(64, 32, 28, 28) → 64, ms whole and in phases (estimates' ratio), 5×5, stride 2, 13.4 and 11.5
(0.89); dilated 3×3 20.6 and 16.0 (0.78); 3×3, stride 2, 5.2 and 6.4 (1.05). Or in slabs of a high
kernel: (32, 16, 32, 32) → 16, 7×7, 9.9 and 5.1, its gradient 12.4 and 5.1."""
MOST_PHASES = 36
"""Phases above which none are looked for: they are small, and to plan each takes 0.1 ms."""
UNPACKED = 1_000_000
"""Multiplications up to which OpenBLAS reads the factors of a product where they lie."""
MOST_A_ROW = 30_000
"""Multiplications a row above which products at points are not cut: 16 rows a part gain nothing."""
FEW_POSITIONS = 1 << 10
"""Positions up to which a bias is added as it is: 676 of 8 channels 4.2 µs, along a row 5.3."""
NARROW = 16
"""Output channels below which BLAS reads transposed weights at least as quickly: 8192 windows of 9
values, 4 channels, 20 µs -> 11; 6272 windows, 16 channels, 19 -> 25."""

# ------------------------------------------------------------------------------- resampling

MANY_CHANNELS = 8
"""Channels from which pixels lie together: NumPy's innermost loop is as long as these are many."""
BLOCK_TARGETS, BLOCK_CALL = (4, 5, 6, 7, 8), 100
"""Outputs of a product, of which the cheapest number is taken, and how many weights cost as much as
a call: doubled, (8, 64, 64, 64), the gradient by 4 outputs 2.2 ms, by 8 6.1, two threads."""

# ------------------------------------------------------------------------------- estimates

# Estimates, in ns, by which plans are compared.

SPREAD_WEIGHTS = 5_000.0
"""To spread the weights over a band, or to fold them: one image, 32×32, 1 → 1 channel, 5×5, by
bands of 16 outputs 49 µs, by taps 27."""
TRANSFORM_INPUT, TRANSFORM_OUTPUT = 0.36, 0.5
"""Winograd: to transform a value of the input, and of products or of their gradient."""
PACK_WEIGHT, ADD_CACHED, ADD_FROM_MEMORY = 0.4, 0.2, 1.0
"""Winograd: to pack a weight, to add a product's sum for it in the cache and from memory."""
WINOGRAD_START = 20_000.0
"""Winograd: to begin."""
