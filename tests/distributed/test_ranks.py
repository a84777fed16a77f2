"""Several ranks learn what one process learns on the joint batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.distributed.launch import needs_mpi, passed, run

pytestmark = [pytest.mark.slow, needs_mpi]

# A network, and one process's training of it on joint batches, which every rank computes too.
_NETWORK = """
def network(sync=False, dtype="float64"):
    tg.manual_seed(5 + 7 * rank)  # ranks begin differently: rank 0 tells
    norm = dist.SyncBatchNorm if sync else nn.Identity
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), norm(3) if sync else norm(), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)
    ).to(dtype)

def data(count, dtype="float64"):
    draw = np.random.default_rng(3)
    return draw.normal(size=(count, 1, 6, 6)).astype(dtype), draw.integers(0, 4, count)

def alone(model):  # the same weights, in one process
    import copy
    twin = copy.deepcopy(model)
    for index, layer in enumerate(list(twin)):
        if isinstance(layer, dist.SyncBatchNorm):
            plain = nn.BatchNorm2d(3).to("float64")
            plain.load_state_dict(layer.state_dict())
            twin[index] = plain
    return twin

def mine(*arrays):
    from tinygrad_cnn.distributed.sharding import part_of
    start, end = part_of(len(arrays[0]), rank, size)
    return [tg.tensor(a[start:end]) for a in arrays]

def same_bits(*tensors):
    for t in tensors:
        bits = np.ascontiguousarray(t.detach().numpy()).view(np.uint8)
        first, *others = dist.all_gather(bits)
        assert all(np.array_equal(first, other) for other in others)
"""


def test_collective_operations(tmp_path: Path) -> None:
    passed(
        """
        assert (size, dist.is_initialized()) == (2, True)
        x = tg.tensor([1.0 + rank, 2.0], dtype="float64")
        assert dist.all_reduce(x) is x and x.tolist() == [3.0, 4.0]
        assert dist.all_reduce(np.array([rank + 1]), "max").tolist() == [2]
        half = dist.all_reduce(np.array([rank + 0.5], np.float16), "mean")
        assert half.dtype == np.float16 and half.tolist() == [1.0]
        strided = np.zeros((2, 3)).T
        strided += rank
        dist.broadcast(strided, src=1)
        assert (strided == 1).all()
        rows = dist.all_gather(tg.tensor(np.full((rank + 1, 2), rank)))
        assert [r.tolist() for r in rows] == [[[0, 0]], [[1, 1], [1, 1]]]
        try:
            dist.all_gather(np.zeros((2, 2 + rank)))
        except dist.DistributedError as error:
            assert "differ beyond their rows" in str(error)
        else:
            raise AssertionError
        # A rule must not read what a collective operation overwrote.
        w = tg.tensor([2.0], requires_grad=True)
        held = tg.tensor([3.0])
        y = w * held
        dist.broadcast(held)
        try:
            y.backward()
        except tg.GraphError as error:
            assert "changed" in str(error) or "in place" in str(error), error
        else:
            raise AssertionError
        dist.barrier()
        """,
        tmp_path,
    )


@pytest.mark.parametrize("sync", [False, True])
def test_gradients_and_weights_are_those_of_the_joint_batch(tmp_path: Path, sync: bool) -> None:
    """With uneven batches, accumulation, small buckets; ranks hold the same bits."""
    passed(
        _NETWORK
        + f"""
model = network({sync})
ddp = dist.DataParallel(model, bucket_cap_mb=1e-4)
assert len(ddp._reducer.buckets) > 2
single = alone(model)
for p, q in zip(model.parameters(), single.parameters()):
    assert np.array_equal(p.detach().numpy(), q.detach().numpy())
steps = [tg.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (ddp, single)]
for count in (8, 8, 5, 3):  # uneven: 3 + 2, 2 + 1
    x, labels = data(count)
    for m, optimizer, (inputs, targets) in (
        (ddp, steps[0], mine(x, labels)),
        (single, steps[1], (tg.tensor(x), tg.tensor(labels))),
    ):
        optimizer.zero_grad()
        F.cross_entropy(m(inputs), targets).backward()
    for (name, p), q in zip(model.named_parameters(), single.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-12, 1e-13, err_msg=name)
    same_bits(*(p.grad for p in model.parameters()))
    clipped = [tg.optim.clip_grad_norm_(m.parameters(), 0.5) for m in (ddp, single)]
    assert abs(clipped[0] - clipped[1]) < 1e-12
    for optimizer in steps:
        optimizer.step()
same_bits(*model.parameters(), *model.buffers())
for p, q in zip(model.state_dict().values(), single.state_dict().values()):
    np.testing.assert_allclose(p.numpy(), q.numpy(), 1e-12, 1e-13)
# Accumulation: two passes alone and a third that adds up.
for m in (ddp, single):
    m.zero_grad()
x, labels = data(8)
with ddp.no_sync():
    for _ in range(2):
        F.cross_entropy(ddp(mine(x, labels)[0]), mine(x, labels)[1]).backward()
F.cross_entropy(ddp(mine(x, labels)[0]), mine(x, labels)[1]).backward()
for _ in range(3):
    F.cross_entropy(single(tg.tensor(x)), tg.tensor(labels)).backward()
for p, q in zip(model.parameters(), single.parameters()):
    np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-12, 1e-13)
""",
        tmp_path,
    )


def test_float32_two_runs_and_two_ranks_hold_the_same_bits(tmp_path: Path) -> None:
    program = (
        _NETWORK
        + """
import zlib
model = network(True, "float32")
ddp = dist.DataParallel(model)
optimizer = tg.optim.Adam(ddp.parameters())
x, labels = data(22, "float32")
loader = tg.data.DataLoader((x, labels), 8, shuffle=True, generator=np.random.default_rng(1))
for _ in range(2):
    for inputs, targets in dist.shard(loader):
        optimizer.zero_grad()
        F.cross_entropy(ddp(inputs), targets).backward()
        optimizer.step()
same_bits(*model.parameters(), *model.buffers())
if not rank:
    print([zlib.crc32(np.ascontiguousarray(t.numpy())) for t in model.state_dict().values()])
"""
    )
    assert passed(program, tmp_path) == passed(program, tmp_path)


def test_unused_parameters_and_what_is_refused(tmp_path: Path) -> None:
    passed(
        _NETWORK
        + """
class Branches(nn.Module):
    def __init__(self):
        self.one, self.two, self.none = (nn.Linear(2, 1).to("float64") for _ in range(3))
    def forward(self, x):
        return self.one(x) if rank == 0 else self.two(x)

model = Branches()
ddp = dist.DataParallel(model)
x = np.array([[1.0, 2.0]])
for _ in range(2):
    ddp.zero_grad()
    ddp(tg.tensor(x)).sum().backward()
    for layer in (model.one, model.two):  # each counts as zeros on the other rank
        assert layer.weight.grad.tolist() == [[0.5, 1.0]], layer.weight.grad
    assert model.none.weight.grad is None
try:
    (ddp(tg.tensor(x)) ** 2).sum().backward(create_graph=True)
except tg.GraphError as error:
    assert "create_graph=True" in str(error)
else:
    raise AssertionError
wide = nn.Linear(2, 1 + rank)
try:
    dist.DataParallel(wide)
except dist.DistributedError as error:
    assert "rank 0 has weight of shape (1, 2), float32, rank 1 weight of shape (2, 2)" in str(error)
else:
    raise AssertionError
try:
    dist.DataParallel(nn.SyncBatchNorm(2))
except ValueError as error:
    assert "convert_sync_batchnorm" in str(error)
else:
    raise AssertionError
def refused(kind, words, action):
    try:
        action()
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(words)

import copy
one = tg.tensor(np.ones((1, 2), np.float32))
ddp = dist.DataParallel(nn.Linear(2, 1))
refused(TypeError, "copy model.module", lambda: copy.deepcopy(ddp))
copy.deepcopy(ddp.module)(one).sum().backward()  # a copy of the model is nobody's
assert ddp.module.weight.grad is None
ddp.module.extra = nn.Parameter([1.0])
refused(ValueError, "make DataParallel anew", lambda: ddp(one))
ddp = dist.DataParallel(nn.Linear(2, 1))
ddp.double()
refused(tg.GraphError, "convert it first", lambda: ddp(one.double()).sum().backward())
# Per rank by default: running statistics of rank 0 before each forward pass.
ddp = dist.DataParallel(nn.BatchNorm1d(2))
ddp(tg.tensor(np.float32([[1, 2], [3, 4]]) + rank))
ddp(tg.tensor(np.float32([[1, 2], [3, 4]]) + rank))
gathered = dist.all_gather(ddp.module.running_mean)
np.testing.assert_allclose(gathered[1].numpy() - gathered[0].numpy(), 0.1, 1e-5)
""",
        tmp_path,
    )


def test_sync_batch_norm_numerically(tmp_path: Path) -> None:
    """By central differences of the joint loss, uneven, for both ways to count the ranks."""
    passed(
        """
        for average in ("samples", "ranks"):
            for affine in (True, False):
                draw = np.random.default_rng(rank)
                rows = 3 - rank
                layer = dist.SyncBatchNorm(2, affine=affine).to("float64")
                layer.average = average
                share = rows / 5 if average == "samples" else 0.5
                x = draw.normal(size=(rows, 2, 2, 2))
                weights = draw.normal(size=x.shape) / rows  # a mean over this rank's rows
                def joint(x):
                    own = (layer(tg.tensor(x)) * tg.tensor(weights)).exp().sum().item() * share
                    return dist.all_reduce(np.array([own]))[0]
                t = tg.tensor(x, requires_grad=True)
                (layer(t) * tg.tensor(weights)).exp().sum().backward()
                got = dist.all_gather(t.grad.numpy() * share)
                for other in range(size):
                    for index in np.ndindex((3 - other, 2, 2, 2)):
                        step = np.zeros_like(x)
                        if other == rank:
                            step[index] = 1e-6
                        slope = (joint(x + step) - joint(x - step)) / 2e-6
                        assert abs(slope - got[other][index]) < 1e-8, (average, slope, index)
        # An empty part of the batch.
        layer = dist.SyncBatchNorm(2).to("float64")
        x = np.ones((0, 2)) if rank else np.array([[1.0, 2.0], [3.0, 5.0]])
        x = tg.tensor(x, requires_grad=True)
        y = layer(x)
        (y * y).sum().backward()
        assert x.grad.shape == x.shape
        np.testing.assert_allclose(layer.running_mean.numpy(), [0.2, 0.35])
        """,
        tmp_path,
    )


def test_a_fault_on_one_rank_ends_all_with_its_traceback_once(tmp_path: Path) -> None:
    done = run("if rank: raise ValueError('one of them')\ndist.barrier()", tmp_path)
    assert done.returncode
    assert done.stderr.count("ValueError: one of them") == 1
    assert "rank 1 of 2 failed, which ends all" in done.stderr
    done = run("raise ValueError('all of them')", tmp_path)
    assert done.returncode
    assert done.stderr.count("ValueError: all of them") == 1


def test_a_rank_that_hangs_is_named(tmp_path: Path) -> None:
    program = """
    import time
    dist.set_timeout(1)
    if rank == 1:
        time.sleep(60)
    dist.all_reduce(np.zeros(3))
    """
    done = run(program, tmp_path)
    assert done.returncode
    assert "all_reduce: rank 0 waited 1 s" in done.stderr
    assert "rank 1 did not come" in done.stderr


def test_a_killed_rank_ends_all(tmp_path: Path) -> None:
    program = """
    import os, signal, time
    dist.barrier()
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    began = time.monotonic()
    dist.barrier()
    """
    assert run(program, tmp_path).returncode


def test_the_examples_on_two_ranks(tmp_path: Path) -> None:
    """They learn what one process learns, and the simulation is near what is measured."""
    examples = Path(__file__).parents[2] / "examples"
    program = (
        f"import sys; sys.path.insert(0, {str(examples)!r}); import distributed as d; d.main(500)"
    )
    shown = [passed(program, tmp_path, ranks) for ranks in (1, 2)]
    assert shown[0].replace("1 process(es)", "2 process(es)") == shown[1]
    program = f"""
import sys
sys.path.insert(0, {str(examples)!r})
import scaling
sys.argv[1:] = ["--network", "batchnorm", "--batch", "2", "--steps", "1"]
scaling.main()
"""
    assert "2 ranks:" in passed(program, tmp_path)


def test_a_script_of_pytorch_on_two_ranks(tmp_path: Path) -> None:
    passed(
        """
        import tinygrad_cnn.torch as torch
        import tinygrad_cnn.torch.distributed as td
        from tinygrad_cnn.torch.nn.parallel import DistributedDataParallel
        from tinygrad_cnn.torch.utils.data.distributed import DistributedSampler

        td.init_process_group("gloo")
        assert (td.get_rank(), td.get_world_size()) == (rank, 2)
        model = DistributedDataParallel(torch.nn.Linear(1, 1, bias=False))
        model(torch.full((1 + rank, 1), 1.0 + rank)).mean().backward()
        assert model.module.weight.grad.item() == 1.5  # ranks alike, as there
        parts = [torch.zeros(1), torch.zeros(1)]
        td.all_gather(parts, torch.tensor([float(rank)]))
        assert [p.item() for p in parts] == [0.0, 1.0]
        t = torch.tensor([float(rank + 1)])
        td.all_reduce(t, op=td.ReduceOp.MAX)
        assert t.item() == 2.0
        assert list(DistributedSampler(range(4), shuffle=False)) == [rank, rank + 2]
        td.destroy_process_group()
        """,
        tmp_path,
    )


def test_a_communicator_of_some_ranks_is_the_world_from_then_on(tmp_path: Path) -> None:
    out = passed(
        """
        from mpi4py import MPI
        from tinygrad_cnn.data import DataLoader
        model = nn.Linear(2, 1).double()
        before = dist.DataParallel(model)
        loader = dist.shard(DataLoader(np.arange(8.0), 8))
        dist.set_timeout(77)
        try:
            dist.init("all")
        except TypeError as error:
            assert "must be an mpi4py.MPI.Intracomm, got str" in str(error)
        # The order is turned round, and rank 2 is alone.
        dist.init(MPI.COMM_WORLD.Split(rank == 2, -rank))
        sizes = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
        assert (dist.rank(), dist.world_size()) == sizes[rank]
        assert dist.is_initialized() == (rank != 2)
        from tinygrad_cnn.distributed.world import world
        assert world().timeout == 77
        parts = {0: [4, 5, 6, 7], 1: [0, 1, 2, 3], 2: [*range(8)]}
        assert [part.tolist() for part in loader] == [parts[rank]]
        x = np.full((1, 2), 1.0 + rank)
        try:
            before(x)
        except ValueError as error:
            assert "make DataParallel anew" in str(error)
        else:
            raise AssertionError
        after = dist.DataParallel(model)  # while `before` lives, whose hooks say nothing
        after(x).sum().backward()
        mean = 3.0 if rank == 2 else 1.5
        assert model.weight.grad.tolist() == [[mean, mean]], model.weight.grad
        print("well")
        """,
        tmp_path,
        3,
    )
    assert out.count("well") == 3


def test_an_exception_ends_the_ranks_of_a_communicator_given_later(tmp_path: Path) -> None:
    done = run(
        """
        from mpi4py import MPI
        dist.init(MPI.COMM_WORLD.Dup())
        if rank == 1:
            raise RuntimeError("no more")
        dist.barrier()
        """,
        tmp_path,
    )
    assert done.returncode != 0
    assert done.stderr.count("rank 1 of 2 failed, which ends all") == 1
    assert "RuntimeError: no more" in done.stderr
