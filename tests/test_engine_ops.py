"""Operations that a user writes: the contract of Op, and its breaches, each with its message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

from tests import numeric
from tinygrad_cnn import Tensor, grad, no_grad, tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op, registry
from tinygrad_cnn.ops.elementwise import exp, mul
from tinygrad_cnn.ops.reduce import sum as sum_over


@pytest.fixture(autouse=True)
def _same_registry() -> Iterator[None]:
    """Ops that a test defines inside of itself are forgotten with it."""
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


class Cube(Op):
    """x³, as the docstring of `Op` shows it."""

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return np.power(x, 3)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # the protocol
        return (g * 3.0 * x * x,)


class Scale(Op):
    """factor · x + shift, with settings."""

    __slots__ = ("factor", "shift")

    def __init__(self, factor: float, shift: float = 0.0) -> None:
        self.factor = factor
        self.shift = shift

    def forward(self, x: Any) -> Any:
        return x * self.factor + self.shift

    def backward(self, g: Any, _out: Any, _x: Any) -> tuple[Any, ...]:
        return (g * self.factor,)


class Softplus2(Op):
    """ln(1 + eᵃᵇ): fused, with an aux of floats, a fast rule for arrays, and a reference."""

    __slots__ = ()
    saves = ("a", "b")
    has_aux = True

    def forward(self, a: Any, b: Any) -> Any:
        sigmoid = 1 / (1 + np.exp(-a * b))
        return -np.log1p(-sigmoid), sigmoid

    def backward(
        self, g: Any, _out: Any, a: Any, b: Any, *, needs: Any, aux: Any
    ) -> tuple[Any, ...]:
        assert type(g) is np.ndarray
        assert type(aux) is np.ndarray
        asked.append(needs)
        return np.multiply(g, aux) * b, np.multiply(g, aux) * a

    @staticmethod
    def reference(a: Any, b: Any) -> Any:
        return (exp(mul(a, b)) + 1.0).log()


asked: list[Any] = []


def test_a_users_op() -> None:
    x = leaf(2.0, -1.0)
    y = Cube()(x)
    assert isinstance(y, Tensor)
    assert y.grad_fn.op.name == "cube"
    y.sum().backward()
    np.testing.assert_array_equal(grad_of(x), [12.0, 3.0])
    (g,) = grad(Cube()(x).sum(), x, create_graph=True)
    (h,) = grad(g.sum(), x)
    np.testing.assert_array_equal(h.numpy(), [12.0, -6.0])


def test_arrays_in_array_out() -> None:
    out = Cube()(np.array([2.0]))
    assert type(out) is np.ndarray
    assert out[0] == 8.0
    assert type(Cube()(2.0)) is np.ndarray
    with no_grad():
        assert not Cube()(leaf(2.0)).requires_grad
    assert not Cube()(tensor([2.0])).requires_grad


def test_the_registry_knows_it_by_its_qualified_name() -> None:
    assert registry[f"{__name__}.Cube"] is Cube


def test_settings_are_shown() -> None:
    assert Scale(3.0, 1.0).settings() == {"factor": 3.0, "shift": 1.0}
    assert Scale(3.0).describe() == "scale(factor=3.0, shift=0.0)"
    assert Cube().describe() == "cube"
    assert repr(Scale(3.0)) == "<Op scale(factor=3.0, shift=0.0)>"
    assert repr(Cube()(leaf(1.0)).grad_fn) == "<Node cube -> float64[1]>"


def test_names_are_made_from_the_class() -> None:
    class LogSumExp2d(Op):
        __slots__ = ()

    class Renamed(Op):
        __slots__ = ()
        name: ClassVar[str] = "other"

    assert LogSumExp2d.name == "log_sum_exp2d"
    assert Renamed.name == "other"


def test_forward_and_backward_must_be_defined() -> None:
    class Nothing(Op):
        __slots__ = ()

    with pytest.raises(NotImplementedError, match=r"^nothing: forward is not defined"):
        Nothing()(np.ones(1))
    with pytest.raises(NotImplementedError, match=r"^nothing: backward is not defined"):
        Nothing().backward(None, None)


def test_a_fused_op_with_a_reference() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal(3)
    x, y = tensor(a, requires_grad=True), tensor(b, requires_grad=True)
    c = rng.standard_normal((2, 3))

    def loss(p: Any, q: Any) -> Any:
        return np.sum(np.log1p(np.exp(p * q)) * c)

    expected = [numeric.gradient(loss, (a, b), i) for i in (0, 1)]
    for create_graph in (False, True):
        found = grad(Softplus2()(x, y), [x, y], c, create_graph=create_graph)
        for g, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(g.detach().numpy(), wanted, atol=1e-8)
    gx, gy = grad(Softplus2()(x, y), [x, y], c, create_graph=True)
    found = grad((gx * gx).sum() + (gy * gy).sum(), [x, y])

    def penalty(p: Any, q: Any) -> Any:
        s = c / (1 + np.exp(-p * q))
        return np.sum((s * q) ** 2) + np.sum(np.sum(s * p, axis=0) ** 2)

    for index, g in enumerate(found):
        wanted = numeric.gradient(penalty, (a, b), index)
        np.testing.assert_allclose(g.numpy(), wanted, atol=1e-7)


def test_a_fused_op_given_one_tensor_twice() -> None:
    x = leaf(0.7)
    for create_graph in (False, True):
        (g,) = grad(Softplus2()(x, x), x, create_graph=create_graph)
        assert g.item() == pytest.approx(2 * 0.7 / (1 + np.exp(-0.49)))
    inner = x * 1.0
    (g,) = grad(Softplus2()(inner, inner), x, create_graph=True)
    assert g.item() == pytest.approx(2 * 0.7 / (1 + np.exp(-0.49)))


def test_a_fused_op_whose_input_is_computed_from_its_other_input() -> None:
    """The reference is differentiated up to the op's inputs, not through the one to the other."""
    x = leaf(0.7)
    b = x * x
    for create_graph in (False, True):
        (g,) = grad(Softplus2()(x, b), x, retain_graph=True, create_graph=create_graph)
        assert g.item() == pytest.approx(3 * 0.49 / (1 + np.exp(-(0.7**3))))


def test_needs_says_which_gradients_are_wanted() -> None:
    x, y = leaf(1.0), leaf(2.0)
    asked.clear()
    Softplus2()(x, y).backward()
    Softplus2()(x, np.array([2.0])).backward()
    Softplus2()(x.detach(), y).backward()
    assert asked == [(True, True), (True, False), (False, True)]


# ------------------------------------------------------------------------------- breaches


def make_op(result: Any, inputs: int = 1) -> Op:
    """An op whose rule returns what it is told."""

    class Broken(Op):
        __slots__ = ()

        def forward(self, *xs: Any) -> Any:
            return xs[0] + 0.0

        if inputs == 1:

            def backward(self, g: Any, _out: Any, _x: Any) -> Any:
                return result(g)

        else:

            def backward(self, g: Any, _out: Any, _a: Any, _b: Any) -> Any:
                return result(g)

    return Broken()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            lambda g: g,
            r"^broken: the rule must return a tuple of 1 gradients, got (ndarray|View)",
        ),
        (lambda g: [g], r"^broken: the rule must return a tuple of 1 gradients, got list of 1"),
        (lambda g: (g, g), r"^broken: the rule must return a tuple of 1 gradients, got tuple of 2"),
        (lambda g: None, r"^broken: the rule must return a tuple of 1 .* got NoneType"),
        (
            lambda g: (g[:1],),
            r"^broken: the rule returned a gradient of shape \(1,\) for input 0 of shape \(2,\)",
        ),
        (
            lambda g: (sum_over(g),),
            r"^broken: the rule returned a gradient of shape \(\) for input 0 of shape \(2,\)",
        ),
    ],
)
def test_a_rule_that_returns_something_else(result: Any, message: str, create_graph: bool) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match=message):
        make_op(result)(x).sum().backward(create_graph=create_graph)
    assert x.grad is None


def test_a_rule_with_too_few_gradients() -> None:
    with pytest.raises(GraphError, match=r"must return a tuple of 2 gradients, got tuple of 1"):
        make_op(lambda g: (g,), inputs=2)(leaf(1.0), leaf(2.0)).backward()


def test_a_rule_may_return_none_for_no_gradient() -> None:
    x, y = leaf(1.0), leaf(2.0)
    make_op(lambda g: (g, None), inputs=2)(x, y).backward()
    np.testing.assert_array_equal(grad_of(x), [1.0])
    assert y.grad is None


def test_a_rule_may_return_another_dtype() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    make_op(lambda g: (g.astype(np.float64),))(x).sum().backward()
    assert grad_of(x).dtype == np.float32


def test_a_rule_that_reads_what_it_does_not_save() -> None:
    class Greedy(Op):
        __slots__ = ()

        def forward(self, x: Any) -> Any:
            return x * x

        def backward(self, g: Any, _out: Any, x: Any) -> Any:
            return (g * x * 2.0,)

    x = leaf(3.0)
    for made in (x, x * 1.0):
        with pytest.raises((GraphError, TypeError), match=r"saves|unsupported operand|ufunc"):
            Greedy()(made).backward()
    assert x.grad is None


def test_a_rule_sees_shape_dtype_and_ndim_of_what_it_does_not_save() -> None:
    seen: list[Any] = []

    class Curious(Op):
        __slots__ = ()

        def forward(self, x: Any) -> Any:
            return x + 0.0

        def backward(self, g: Any, out: Any, x: Any) -> Any:
            seen.append((out, x.shape, x.dtype, x.ndim))
            return (g,)

    x = leaf(1.0, 2.0)
    Curious()(x).sum().backward()
    Curious()(x * 2).sum().backward()
    assert seen == [(None, (2,), np.dtype(np.float64), 1)] * 2


@pytest.mark.parametrize("names", [("y",), {"x": ("y",)}, {"y": ("x",)}])
def test_saves_must_name_arguments_of_the_rule(names: Any) -> None:
    with pytest.raises(TypeError, match=r"^Typo\.saves: \['y'\] are not among .*'x', 'out'"):

        class Typo(Op):
            __slots__ = ()
            saves = names

            def backward(self, g: Any, _out: Any, x: Any) -> Any:  # noqa: ARG002  # a name in saves
                return (g,)


def test_keywords_of_a_rule_are_needs_and_aux() -> None:
    with pytest.raises(
        TypeError, match=r"^Odd\.backward: keywords may be needs and aux, got .*mask"
    ):

        class Odd(Op):
            __slots__ = ()

            def backward(self, g: Any, _out: Any, _x: Any, *, mask: Any) -> Any:  # noqa: ARG002  # refused
                return (g,)


def test_needs_is_no_input_of_a_rule() -> None:
    with pytest.raises(TypeError, match=r"^Odd\.backward: needs and aux are keywords, no inputs"):

        class Odd(Op):
            __slots__ = ()

            def backward(self, g: Any, _out: Any, _x: Any, needs: Any) -> Any:  # noqa: ARG002  # refused
                return (g,)


def test_an_op_of_any_number_of_inputs_saves_none_of_them() -> None:
    with pytest.raises(TypeError, match=r"^Many\.saves: an op of any number of inputs saves none"):

        class Many(Op):
            __slots__ = ()
            saves = ("xs",)

            def backward(self, g: Any, _out: Any, *xs: Any) -> Any:
                return tuple(g for _ in xs)


def test_an_op_of_any_number_of_inputs() -> None:
    class Total(Op):
        __slots__ = ()

        def forward(self, *xs: Any) -> Any:
            return np.sum(np.stack(xs), axis=0)

        def backward(self, g: Any, _out: Any, *xs: Any) -> Any:
            return tuple(g for _ in xs)

    a, b = leaf(1.0), leaf(2.0)
    Total()(a, np.array([5.0]), b, a).backward()
    np.testing.assert_array_equal(grad_of(a), [2.0])
    np.testing.assert_array_equal(grad_of(b), [1.0])
    assert not np.shares_memory(grad_of(a), grad_of(b))


def test_a_fused_op_must_save_every_input() -> None:
    with pytest.raises(TypeError, match=r"^Fused: reference needs every input in saves"):

        class Fused(Op):
            __slots__ = ()
            saves = ("a",)
            reference = staticmethod(mul)

            def backward(self, g: Any, _out: Any, a: Any, b: Any) -> Any:  # noqa: ARG002  # names in saves
                return g, g


def test_infer_runs_where_nothing_is_recorded() -> None:
    class Lazy(Op):
        __slots__ = ()

        def forward(self, x: Any) -> Any:
            ran.append("forward")
            return x + 0.0

        def infer(self, x: Any) -> Any:
            ran.append("infer")
            return x + 0.0

        def backward(self, g: Any, _out: Any, _x: Any) -> Any:
            return (g,)

    ran: list[str] = []
    x = leaf(1.0)
    Lazy()(x)
    Lazy()(x.detach())
    Lazy()(np.ones(1))
    with no_grad():
        Lazy()(x)
    assert ran == ["forward", "infer", "infer", "infer"]


def test_wrong_operands_are_named() -> None:
    for wrong in ("text", None, object(), 1j, np.ones(1, complex)[0]):
        with pytest.raises(TypeError, match=r"^cube: expects tensors, arrays or numbers, got"):
            Cube()(wrong)
