"""Every function on tensors and arrays: ``import tinygrad_cnn.functional as F``.

Names and argument order are PyTorch's. A function called with arrays returns arrays and records
nothing; called with any tensor it returns a tensor.

Each family of `ops` says in its ``__all__`` what it has; a new family is one line here.
"""

from tinygrad_cnn.ops.activation import *
from tinygrad_cnn.ops.attention import *
from tinygrad_cnn.ops.comparing import *
from tinygrad_cnn.ops.conv.convolution import *
from tinygrad_cnn.ops.conv.transposed import *
from tinygrad_cnn.ops.cross_entropy import *
from tinygrad_cnn.ops.curves import *
from tinygrad_cnn.ops.drawn import *
from tinygrad_cnn.ops.dropout import *
from tinygrad_cnn.ops.elementwise import *
from tinygrad_cnn.ops.extreme import *
from tinygrad_cnn.ops.group_norm import *
from tinygrad_cnn.ops.index import *
from tinygrad_cnn.ops.indexing.along import *
from tinygrad_cnn.ops.indexing.embedding import *
from tinygrad_cnn.ops.indexing.masked import *
from tinygrad_cnn.ops.indexing.rows import *
from tinygrad_cnn.ops.indexing.scattering import *
from tinygrad_cnn.ops.join import *
from tinygrad_cnn.ops.linalg import *
from tinygrad_cnn.ops.loss import *
from tinygrad_cnn.ops.losses.ctc import *
from tinygrad_cnn.ops.losses.distances import *
from tinygrad_cnn.ops.losses.likelihoods import *
from tinygrad_cnn.ops.losses.margins import *
from tinygrad_cnn.ops.losses.pairs import *
from tinygrad_cnn.ops.matrices.einsum import *
from tinygrad_cnn.ops.matrices.factors import *
from tinygrad_cnn.ops.matrices.inverse import *
from tinygrad_cnn.ops.matrices.norms import *
from tinygrad_cnn.ops.matrices.products import *
from tinygrad_cnn.ops.nans import *
from tinygrad_cnn.ops.norm import *
from tinygrad_cnn.ops.normalizing import *
from tinygrad_cnn.ops.ordering.quantiles import *
from tinygrad_cnn.ops.ordering.scan import *
from tinygrad_cnn.ops.ordering.searching import *
from tinygrad_cnn.ops.ordering.sorting import *
from tinygrad_cnn.ops.piecewise import *
from tinygrad_cnn.ops.pointwise.combining import *
from tinygrad_cnn.ops.pointwise.gamma import *
from tinygrad_cnn.ops.pointwise.hard import *
from tinygrad_cnn.ops.pointwise.powers import *
from tinygrad_cnn.ops.pointwise.trigonometry import *
from tinygrad_cnn.ops.pointwise.units import *
from tinygrad_cnn.ops.pointwise.variants import *
from tinygrad_cnn.ops.pool.adaptive import *
from tinygrad_cnn.ops.pool.average import *
from tinygrad_cnn.ops.pool.chosen import *
from tinygrad_cnn.ops.pool.maximum import *
from tinygrad_cnn.ops.pool.powers import *
from tinygrad_cnn.ops.predicates import *
from tinygrad_cnn.ops.rearranging.cutting import *
from tinygrad_cnn.ops.rearranging.diagonal import *
from tinygrad_cnn.ops.rearranging.grids import *
from tinygrad_cnn.ops.rearranging.repeat import *
from tinygrad_cnn.ops.reduce import *
from tinygrad_cnn.ops.regularisation import *
from tinygrad_cnn.ops.resampling.folding import *
from tinygrad_cnn.ops.resampling.grids import *
from tinygrad_cnn.ops.resampling.interpolation import *
from tinygrad_cnn.ops.resampling.shuffling import *
from tinygrad_cnn.ops.rounding import *
from tinygrad_cnn.ops.shape import *
from tinygrad_cnn.ops.softmax import *
from tinygrad_cnn.ops.summaries import *

# pytest, which knows the package as a plugin, adds names with an @ to what it imports.
__all__ = [name for name in globals() if name.isidentifier() and not name.startswith("_")]
