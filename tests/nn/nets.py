"""Small modules that the tests of names, states and scopes share."""

from tinygrad_cnn import tensor
from tinygrad_cnn.nn import Module, Parameter, Sequential


class Scale(Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = Parameter([factor])
        self.register_buffer("count", tensor(0))

    def forward(self, x):
        return x * self.factor


class Net(Module):
    def __init__(self):
        super().__init__()
        self.first = Scale(2.0)
        self.offset = Parameter([1.0, 1.0])
        self.rest = Sequential(Scale(3.0), Scale(4.0))
        self.plain = tensor([5.0])

    def forward(self, x):
        return self.rest(self.first(x) + self.offset)
