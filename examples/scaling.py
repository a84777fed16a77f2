"""How training scales: measured here, simulated for clusters.

`mpiexec -n 2 python examples/scaling.py` measures on the ranks it is given: a training step of rank
0 alone, the same step on all ranks at once with gradients added up, and the latency and bandwidth
of `all_reduce`. Then it says what 2 to 1,024 nodes with one rank each would reach, each rank with
a batch of the same size.

The model of a network is alpha + bytes/beta for a message; all-reduce of n bytes over p nodes takes
    ring: 2 (p - 1) alpha + 2 (p - 1)/p n/beta        tree: log2(p) (alpha + n/beta)
(Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
2005, section 4.5; tree is their recursive doubling). Buckets start when the backward pass has
reached them, two thirds of the step being backward, and follow each other; what is not done at its
end is waited for. Adding up is not counted, and no node is slower than another.
"""

import argparse
import time

import numpy as np

import tinygrad_cnn as tg
import tinygrad_cnn.functional as F
from tinygrad_cnn import distributed as dist
from tinygrad_cnn import models, nn, optim

BACKWARD = 2 / 3  # of a step
# Seconds a message and bytes a second: common figures of such networks, not measured here.
LINKS = {
    "Ethernet 10 Gbit/s": (30e-6, 1.1e9),
    "Ethernet 100 Gbit/s": (10e-6, 11e9),
    "InfiniBand HDR 200 Gbit/s": (1.5e-6, 23e9),
}
NODES = [2**k for k in range(1, 11)]


def ring(p: int, n: float, alpha: float, beta: float) -> float:
    """Return the seconds of an all-reduce around a ring."""
    return 2 * (p - 1) * alpha + 2 * (p - 1) / p * n / beta


def tree(p: int, n: float, alpha: float, beta: float) -> float:
    """Return the seconds of an all-reduce by recursive doubling."""
    return np.log2(p) * (alpha + n / beta)


def simulate(compute: float, buckets: list[int], p: int, algorithm, link) -> float:
    """Return the seconds of a step on p ranks with buckets of so many bytes."""
    whole, done, now = sum(buckets), 0.0, 0.0
    for size in buckets:
        done += size
        ready = compute * (1 - BACKWARD + BACKWARD * done / whole)
        now = max(now, ready) + algorithm(p, size, *link)
    return max(compute, now)


def mnist() -> nn.Module:
    """Return the network of PyTorch's MNIST example."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


NETWORKS = {
    "mnist": (mnist, (1, 28, 28)),
    "resnet20": (models.ResNet20, (3, 32, 32)),
    "batchnorm": (lambda: models.network_of("batchnorm").make(1, 10), (1, 28, 28)),
}


def stepper(model: nn.Module, x: tg.Tensor, labels: tg.Tensor):
    """Return a function that does a training step."""
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return step


def seconds(action, times: int, clock=time.perf_counter) -> float:
    """Return the least time of so many."""
    best = np.inf
    for _ in range(times):
        began = clock()
        action()
        best = min(best, clock() - began)
    return best


def measure_step(name: str, batch: int, steps: int, clock) -> tuple[float, float, list[int]]:
    """Return seconds of a step of one rank alone, of all at once, and the bytes of the buckets."""
    make, shape = NETWORKS[name]
    tg.manual_seed(0)
    draw = np.random.default_rng(dist.rank())
    x = tg.tensor(draw.standard_normal((batch, *shape)).astype(np.float32))
    labels = tg.tensor(draw.integers(0, 10, batch))
    model = make()
    parallel = dist.DataParallel(model, broadcast_buffers=False)
    together = stepper(parallel, x, labels)
    single = stepper(make(), x, labels)
    alone = joint = np.inf
    for _ in range(steps):  # in turns, so that what else the machine does meets both
        dist.barrier()
        if dist.rank() == 0:
            alone = min(alone, seconds(single, 2, clock))
        dist.barrier()
        joint = min(joint, seconds(together, 2, clock))
    slowest = dist.all_reduce(np.array([joint]), "max")[0]
    alone = dist.broadcast(np.array([alone]))[0]
    size = sum(p.nbytes for p in model.parameters())
    cap = 4 * 2**20  # DataParallel's
    return alone, slowest, [min(cap, size - start) for start in range(0, size, cap)]


def measure_all_reduce() -> tuple[float, float]:
    """Return what a message costs here, in seconds, and the bandwidth, in bytes a second."""
    small, large = np.zeros(1), np.zeros(2**19)
    latency = seconds(lambda: dist.all_reduce(small), 200)
    whole = seconds(lambda: dist.all_reduce(large), 20)
    p = dist.world_size()
    return latency / np.log2(p), 2 * (p - 1) / p * large.nbytes / max(whole - latency, 1e-9)


def main() -> None:
    """Measure and simulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, default="mnist")
    parser.add_argument("--batch", type=int, default=64, help="images of a rank in a step")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--plot", help="a file for the curves, such as scaling.png")
    parser.add_argument(
        "--cpu", action="store_true", help="processor time of a step, where others use the machine"
    )
    given = parser.parse_args()
    clock = time.process_time if given.cpu else time.perf_counter
    tg.set_num_threads(1)
    size = dist.world_size()
    alone, joint, buckets = measure_step(given.network, given.batch, given.steps, clock)
    here = measure_all_reduce() if size > 1 else None
    if dist.rank():
        return
    rate = given.batch / alone
    print(
        f"{given.network}, {given.batch} images a rank, {sum(buckets) / 2**20:.1f} MB of gradients"
    )
    print(f"1 rank: {1e3 * alone:.1f} ms a step, {rate:,.0f} images/s")
    if here is not None:
        expected = simulate(alone, buckets, size, ring, here)
        print(f"{size} ranks: {1e3 * joint:.1f} ms a step, efficiency {alone / joint:.2f}")
        print(f"all_reduce here: {1e6 * here[0]:.0f} us a message, {here[1] / 1e9:.2f} GB/s")
        print(f"the model with these: {1e3 * expected:.1f} ms, efficiency {alone / expected:.2f}")
    curves = {}
    print("efficiency, simulated   " + "".join(f"{p:>7}" for p in NODES))
    for link, constants in LINKS.items():
        for algorithm in (ring, tree):
            row = [alone / simulate(alone, buckets, p, algorithm, constants) for p in NODES]
            curves[f"{link}, {algorithm.__name__}"] = row
            print(
                f"{link}, {algorithm.__name__:<5}".ljust(33)[:33]
                + "".join(f"{v:7.2f}" for v in row)
            )
    if given.plot:
        plot(curves, given.plot)


def plot(curves: dict[str, list[float]], path: str) -> None:
    """Draw efficiency over the number of nodes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, row in curves.items():
        axes.semilogx(NODES, row, label=name, base=2)
    axes.set(xlabel="nodes", ylabel="efficiency (simulated)", ylim=(0, 1.05))
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
