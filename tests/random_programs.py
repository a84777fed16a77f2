"""Random programs of views, writes and operations, for this package and PyTorch alike.

A program is a function of two leaves, drawn from a seed; both libraries run the same text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SHAPE = (3, 4)


class Program:
    """One random program.

    Attributes
    ----------
    lib
        What makes tensors and blocks: `Ours` or `Theirs`.
    pool
        The tensors that exist, aliases included.
    """

    def __init__(self, seed: int, lib: Any, leaves: list[Any], leaving: bool) -> None:
        self.random = np.random.default_rng(seed)
        self.lib = lib
        self.leaves = leaves
        self.leaving = leaving  # whether no_grad blocks and detach() may occur
        a, b = leaves
        self.pool = [a * 2.0, b * a, lib.constant(self.draw(*SHAPE)), lib.constant(self.draw(12))]
        if self.chance(0.3):
            self.pool.append(a.T * 1.0)
        self.total = (a * b).sum() * 0.1

    def draw(self, *shape: int) -> Any:
        return self.random.uniform(0.5, 1.5, shape)

    def number(self) -> float:
        return float(self.random.uniform(0.5, 1.3))

    def chance(self, p: float) -> bool:
        return bool(self.random.random() < p)

    def below(self, n: int) -> int:
        return int(self.random.integers(n))

    def pick(self) -> Any:
        return self.pool[self.below(len(self.pool))]

    def key(self, shape: Any) -> Any:
        key: list[Any] = []
        for size in shape:
            kind = self.random.random()
            if kind < 0.3:
                key.append(self.below(size) - (size if self.chance(0.2) else 0))
            elif kind < 0.65 or size < 2:
                key.append(slice(None))
            else:
                start = self.below(size - 1)
                key.append(slice(start, start + 1 + self.below(size - start)))
        if self.chance(0.1):
            key = [..., *key[len(key) // 2 :]]
        return tuple(key)

    def like(self, shape: tuple[int, ...]) -> Any:
        """Return a value that can be written to a shape."""
        other, kind = self.pick(), self.random.random()
        if kind < 0.2:
            return self.number()
        if tuple(other.shape) == shape or not other.shape:
            return other if kind < 0.5 else other * 0.7 + 0.1
        if kind < 0.35:
            return self.lib.constant(self.draw(*shape))
        leaf = self.leaves[self.below(2)]
        return (leaf * 0.1).sum() if kind < 0.7 else (other * 0.1).sum() + leaf[0, 1]

    # ------------------------------------------------------------------ steps

    def view(self) -> None:
        t = self.pick()
        shape, kind = tuple(t.shape), self.random.random()
        size = int(np.prod(shape))
        if kind < 0.5 and shape:
            self.pool.append(t[self.key(shape)])
        elif kind < 0.7:
            self.pool.append(
                t.reshape(2, -1) if len(shape) == 1 and not size % 2 else t.reshape(-1)
            )
        elif kind < 0.8 and len(shape) == 2:
            self.pool.append(t.T)
        elif kind < 0.9:
            self.pool.append(t.unsqueeze(0))
        elif self.leaving:
            self.pool.append(t.detach())

    def assign(self) -> None:
        t = self.pick()
        shape = tuple(t.shape)
        if not shape:
            return
        kind = self.random.random()
        if kind < 0.7:
            key = self.key(shape)
            t[key] = self.like(np.zeros(shape)[key].shape)
        elif kind < 0.85:
            mask = self.random.random(shape) < 0.5
            t[self.lib.index(mask)] = self.number() if self.chance(0.5) else self.like(())
        else:
            rows = self.random.permutation(shape[0])[: 1 + self.below(shape[0])]
            t[self.lib.index(rows)] = self.like((len(rows), *shape[1:]))

    def augment(self) -> None:
        t = self.pick()
        other, kind = self.like(tuple(t.shape)), self.random.random()
        if kind < 0.35:
            t += other
        elif kind < 0.65:
            t *= other
        elif kind < 0.8:
            t -= other
        elif kind < 0.9:
            t /= 2.5
        else:
            t **= 2
        if self.chance(0.3) and t.shape:
            t[self.key(tuple(t.shape))] += self.number()

    def method(self) -> None:
        t = self.pick()
        kind = self.below(12)
        if kind == 0:
            t.mul_(0.1).exp_()
        elif kind == 1:
            t.clamp_(-0.9, 1.1)
        elif kind == 2:
            t.fill_(self.number())
        elif kind == 3:
            t.copy_(self.like(tuple(t.shape)) + t * 0)
        elif kind == 4:
            t.tanh_()
        elif kind == 5:
            t.sigmoid_()
        elif kind == 6:
            t.neg_()
        elif kind == 7:
            t.add_(self.like(()), alpha=2)
        elif kind == 8:
            t.masked_fill_(self.lib.index(self.random.random(tuple(t.shape)) < 0.3), self.number())
        elif kind == 9 and t.shape:
            rows = self.random.integers(0, t.shape[0], 3)
            source = self.pick() * 0.3
            shape = (3, *t.shape[1:])
            if tuple(source.shape) != shape:
                source = self.lib.constant(self.draw(*shape)) * self.leaves[0].sum()
            t.index_add_(0, self.lib.index(rows), source)
        elif kind == 10 and t.shape:
            index = self.random.integers(0, t.shape[-1], tuple(t.shape))
            t.scatter_add_(-1, self.lib.index(index), t * 0.5)
        else:
            t.relu_()

    def fan_out(self) -> None:
        t, other = self.pick(), self.pick()
        self.total = self.total + (t * self.number()).sum() + (t * t).sum() * 0.01
        if tuple(t.shape) == tuple(other.shape):
            self.pool.append(other * t if self.chance(0.5) else other + t)
        elif self.chance(0.3):
            self.pool.append(t * 0.5)

    def without(self) -> None:
        with self.lib.no_grad():
            t = self.pick()
            if self.chance(0.5):
                t *= self.number()
            elif t.shape:
                t[self.key(tuple(t.shape))] = self.number()
            if self.chance(0.2):
                self.pool.append(t.reshape(-1))
            if self.chance(0.1):
                self.leaves[0].mul_(1.0)

    def run(self) -> Any:
        """Run the program; return the number it computes."""
        steps = [self.view] * 5 + [self.assign] * 4 + [self.augment] * 3 + [self.method] * 3
        steps += [self.fan_out] * 3 + [self.without] * self.leaving
        for _ in range(4 + self.below(12)):
            steps[self.below(len(steps))]()
        for t in self.pool:
            self.total = self.total + (t * t).sum() * 0.1 + t.sum()
        return self.total
