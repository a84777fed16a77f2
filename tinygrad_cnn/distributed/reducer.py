"""Gradients of all ranks are added in buckets, while the backward pass goes on.

A bucket is a piece of memory for the gradients of some parameters. Once the engine has completed
all of them the sum over the ranks begins, and goes on beside the rules of the layers before (Li et
al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", 2020). Buckets start
in one order on every rank, as MPI wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.distributed.world import world
from tinygrad_cnn.graph import GraphError, mode
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.nn import Parameter
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__: list[str] = []


class Bucket:
    """The gradients of some parameters of one dtype in one piece of memory.

    Behind them stand, for each parameter, the number of ranks that have a gradient of it, and the
    sum of the weights of all ranks: so one message says everything.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        sizes = [p.numel() for p in parameters]
        dtype = self.dtype = parameters[0].dtype
        self.buffer = np.zeros(sum(sizes) + len(sizes) + 1, np.result_type(dtype, np.float32))
        ends = np.cumsum(sizes)
        self.parts: list[Array] = [
            self.buffer[end - size : end].reshape(p.shape)
            for end, size, p in zip(ends, sizes, parameters, strict=True)
        ]
        self.present = self.buffer[sum(sizes) : -1]
        self.request: Any = None
        self.reset()

    def reset(self) -> None:
        """Wait for all gradients anew."""
        self.missing = len(self.parameters)
        self.present[...] = 0

    def put(self, index: int, weight: float) -> None:
        """Copy a parameter's gradient, times the weight of this rank."""
        gradient = self.parameters[index]._grad
        if gradient is None or not weight:  # of no samples: not 0 · NaN
            self.parts[index][...] = 0
        else:
            np.multiply(gradient._data, weight, out=self.parts[index], casting="same_kind")
        self.present[index] = gradient is not None

    def start(self, weight: float) -> None:
        """Begin to add up the bucket over the ranks."""
        from mpi4py import MPI

        self.buffer[-1] = weight
        here = world()
        self.request = here.comm.Iallreduce(MPI.IN_PLACE, self.buffer)
        here.under_way.append(self)

    def finish(self) -> None:
        """Wait for the sum, and make of it the parameters' gradients: means over the samples."""
        here = world()
        here.wait(self.request, "gradients")
        here.under_way.remove(self)
        self.request = None
        total = self.buffer[-1]
        for parameter, part, present in zip(self.parameters, self.parts, self.present, strict=True):
            if not present:  # on no rank
                continue
            if total:
                part /= total
            if parameter._grad is None:
                parameter._grad = Tensor(part.astype(parameter.dtype))
                continue
            array = parameter._grad._data
            before_writing(array)
            array[...] = part
            changed(array)
        self.reset()


class Reducer:
    """Adds up the gradients of a model's parameters over the ranks, pass by pass.

    Parameters
    ----------
    parameters
        Those that learn, in the order of the model.
    capacity
        Bytes of a bucket; a larger parameter has one of its own.

    Attributes
    ----------
    weight
        The samples that went forward since the last sum.
    wanted
        Whether the next backward pass adds up.
    """

    def __init__(self, parameters: Sequence[Parameter], capacity: int) -> None:
        self.buckets = [Bucket(group) for group in _groups(parameters, capacity)]
        self.places = {
            id(parameter): (bucket, index)
            for bucket in self.buckets
            for index, parameter in enumerate(bucket.parameters)
        }
        self.world = world()
        self.weight: float | None = None
        self.wanted = True
        self._ready: set[int] = set()  # parameters whose gradient is in its bucket
        self._next = 0  # the first bucket that did not start

    def complete(self, parameter: Any) -> None:
        """Take a gradient that a backward pass has completed."""
        place = self.places.get(id(parameter))
        # A copy of the model has copies of the hooks: its parameters are not ours.
        if place is None or not self.wanted or place[0].parameters[place[1]] is not parameter:
            return
        if self.world is not world():  # the model has been given to another DataParallel since
            return
        if parameter._grad._node is not None or parameter._grad._requires_grad:
            raise GraphError(
                "DataParallel: create_graph=True records a backward pass, and the sum over the "
                "ranks would be missing in it: call the module inside, model.module"
            )
        bucket, index = place
        if parameter.dtype != bucket.dtype:
            raise GraphError(
                f"DataParallel: the model was converted to {parameter.dtype} after it was given "
                f"as {bucket.dtype}: convert it first"
            )
        if self._ready and mode.finishing is None:
            raise GraphError(
                "DataParallel: an earlier backward pass ended in an error on this rank, and others "
                "wait for its gradients: end the program, and resume"
            )
        if id(parameter) in self._ready:
            raise GraphError(
                f"DataParallel: the gradient of {parameter.name or 'a parameter'} came twice in a "
                "backward pass, for another one runs inside of it"
            )
        if not self._ready:
            mode.finishing = [*(mode.finishing or ()), self.finish]
        bucket.put(index, self._share())
        self._ready.add(id(parameter))
        bucket.missing -= 1
        if self._next:
            # MPI moves on when it is called: now and then a look at what is under way.
            self.buckets[self._next - 1].request.Test()
        while self._next < len(self.buckets) and not self.buckets[self._next].missing:
            self.buckets[self._next].start(self._share())
            self._next += 1

    def _share(self) -> float:
        """Return the weight of this rank: 1 where no input told of samples."""
        return 1.0 if self.weight is None else self.weight

    def finish(self) -> None:
        """Begin what did not begin, wait for all, and write the gradients."""
        for bucket in self.buckets[self._next :]:
            for index, parameter in enumerate(bucket.parameters):
                if id(parameter) not in self._ready:
                    bucket.put(index, self._share())
            bucket.start(self._share())
        for bucket in self.buckets:
            bucket.finish()
        self._next = 0
        self._ready.clear()
        self.weight = None


def _groups(parameters: Sequence[Parameter], capacity: int) -> list[list[Parameter]]:
    """Split parameters into buckets, the last of the model first: their gradients come first."""
    groups: list[list[Parameter]] = []
    size = 0
    for parameter in reversed(parameters):
        size += parameter.nbytes
        if not groups or size > capacity or groups[-1][0].dtype != parameter.dtype:
            groups.append([])
            size = parameter.nbytes
        groups[-1].append(parameter)
    return groups
