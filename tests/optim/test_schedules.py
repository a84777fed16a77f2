"""Schedules against their formulas and PyTorch; clipping against NumPy's norms."""

from __future__ import annotations

import json
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_cnn import tensor
from tinygrad_cnn.optim import (
    SGD,
    Adam,
    CosineAnnealingLR,
    OneCycleLR,
    RMSprop,
    StepLR,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    lr_scheduler,
)
from tinygrad_cnn.optim import clip as clipping


def make(cls=SGD, groups=1, **options):
    group = [{"params": tensor([1.0], requires_grad=True)} for _ in range(groups)]
    for i, g in enumerate(group[1:]):
        g["lr"] = 0.5 + i
    return cls(group, **options)


def rates(schedule, steps):
    found = [schedule.get_last_lr()[0]]
    for _ in range(steps):
        schedule.step()
        found.append(schedule.get_last_lr()[0])
    return found


def test_step_lr_by_hand():
    schedule = StepLR(make(lr=0.8), step_size=3, gamma=0.5)
    assert rates(schedule, 7) == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]


def test_cosine_by_hand():
    schedule = CosineAnnealingLR(make(lr=1.0), T_max=4, eta_min=0.2)
    low, high = 0.6 - 0.4 / math.sqrt(2), 0.6 + 0.4 / math.sqrt(2)
    np.testing.assert_allclose(rates(schedule, 5), [1, high, 0.6, low, 0.2, low])


def test_one_cycle_by_hand():
    optimizer = make(lr=5.0, momentum=0.1)
    schedule = OneCycleLR(optimizer, 1.0, 11, pct_start=3 / 11, anneal_strategy="linear")
    first, last = 1 / 25, 1 / 25e4
    fall = [1 + (last - 1) * i / 8 for i in range(1, 9)]
    np.testing.assert_allclose(rates(schedule, 11), [first, (first + 1) / 2, 1, *fall, last])
    assert optimizer.param_groups[0]["momentum"] == 0.95


def test_one_cycle_momentum_goes_the_other_way():
    for cls in (SGD, RMSprop, Adam):
        optimizer = make(cls, lr=5.0)
        schedule = OneCycleLR(optimizer, 1.0, 10, pct_start=0.5)
        seen = []
        for _ in range(10):
            group = optimizer.param_groups[0]
            seen.append(group["betas"][0] if cls is Adam else group["momentum"])
            schedule.step()
        middle = 0.9 + 0.05 * math.cos(math.pi / 4)
        np.testing.assert_allclose([seen[0], seen[1], seen[4], seen[9]], [0.95, middle, 0.85, 0.95])
    assert optimizer.param_groups[0]["betas"][1] == 0.999


@given(
    total=st.integers(2, 30),
    start=st.floats(0.05, 0.95),
    strategy=st.sampled_from(["cos", "linear"]),
    adam=st.booleans(),
)
def test_one_cycle_equals_pytorch(total, start, strategy, adam):
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    if start * total == 1:
        return  # PyTorch divides by zero
    cls = Adam if adam else SGD
    optimizer = make(cls, groups=2, lr=0.1)
    options = {"pct_start": start, "anneal_strategy": strategy, "div_factor": 10.0}
    schedule = OneCycleLR(optimizer, [0.5, 2.0], total, **options)
    groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(2)]
    other = (torch.optim.Adam if adam else torch.optim.SGD)(groups, lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(other, [0.5, 2.0], total_steps=total, **options)
    for t in range(total):
        np.testing.assert_allclose(schedule.get_last_lr(), theirs.get_last_lr(), rtol=1e-12)
        key = "betas" if adam else "momentum"
        np.testing.assert_allclose(optimizer.param_groups[1][key], other.param_groups[1][key])
        if t < total - 1:
            schedule.step()
            other.step()
            theirs.step()


@given(st.integers(1, 12), st.floats(0.01, 1), st.floats(0, 0.01))
def test_step_and_cosine_equal_pytorch(period, lr, low):
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    scheduler = torch.optim.lr_scheduler
    for ours, theirs, options in (
        (StepLR, scheduler.StepLR, {"step_size": period, "gamma": 0.5}),
        (CosineAnnealingLR, scheduler.CosineAnnealingLR, {"T_max": period, "eta_min": low}),
    ):
        other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
        schedule, reference = ours(make(lr=lr), **options), theirs(other, **options)
        for _ in range(period + 3):
            np.testing.assert_allclose(
                schedule.get_last_lr(), reference.get_last_lr(), rtol=1e-9, atol=1e-12
            )
            schedule.step()
            other.step()
            reference.step()


def test_beyond_the_end_of_one_cycle_is_an_error():
    schedule = OneCycleLR(make(lr=1.0), 1.0, total_steps=3)
    for _ in range(3):
        schedule.step()
    kept = schedule.get_last_lr()
    with pytest.raises(ValueError, match="OneCycleLR: step 4 is beyond total_steps=3"):
        schedule.step()
    assert schedule.get_last_lr() == kept
    assert schedule.last_epoch == 3


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("start", [0.0, 1 / 3, 0.5, 1.0])
def test_one_cycle_of_few_steps_stays_in_range(total, start):
    schedule = OneCycleLR(make(lr=1.0), 1.0, total, pct_start=start)
    assert all(0 < rate <= 1 for rate in rates(schedule, total))


def half_a_step(t):
    return 0.5**t


BUILDS = {
    "StepLR": lambda lr, o: lr.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda lr, o: lr.MultiStepLR(o, [5, 2, 2], 0.5),
    "ConstantLR": lambda lr, o: lr.ConstantLR(o, 0.25, 3),
    "LinearLR": lambda lr, o: lr.LinearLR(o, 0.25, 0.75, 5),
    "ExponentialLR": lambda lr, o: lr.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda lr, o: lr.PolynomialLR(o, 5, 2.0),
    "CosineAnnealingLR": lambda lr, o: lr.CosineAnnealingLR(o, 7),
    "CosineAnnealingWarmRestarts": lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 2, 2, 0.01),
    "LambdaLR": lambda lr, o: lr.LambdaLR(o, [half_a_step, half_a_step]),
    "MultiplicativeLR": lambda lr, o: lr.MultiplicativeLR(o, lambda t: 0.9),
    "OneCycleLR": lambda lr, o: lr.OneCycleLR(o, [1.0, 2.0], 9),
    "OneCycleLR-3": lambda lr, o: lr.OneCycleLR(
        o, 1.0, epochs=3, steps_per_epoch=4, three_phase=True
    ),
    "CyclicLR": lambda lr, o: lr.CyclicLR(o, 0.1, [0.5, 0.7], 3, 2, mode="triangular2"),
    "CyclicLR-exp": lambda lr, o: lr.CyclicLR(o, 0.1, 0.5, 2, mode="exp_range", gamma=0.9),
    "CyclicLR-own": lambda lr, o: lr.CyclicLR(
        o, 0.1, 0.5, 2, scale_fn=half_a_step, scale_mode="iterations", cycle_momentum=False
    ),
    "SequentialLR": lambda lr, o: lr.SequentialLR(
        o, [lr.LinearLR(o, 0.1, 1.0, 3), lr.ExponentialLR(o, 0.9), lr.StepLR(o, 2, 0.5)], [3, 6]
    ),
    "ChainedScheduler": lambda lr, o: lr.ChainedScheduler(
        [lr.ConstantLR(o, 0.1, 4), lr.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("name", BUILDS)
def test_schedules_equal_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    ours = make(groups=2, lr=0.3, momentum=0.9)
    groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(2)]
    groups[1]["lr"] = 0.5
    theirs = torch.optim.SGD(groups, lr=0.3, momentum=0.9)
    schedule = BUILDS[name](lr_scheduler, ours)
    other = BUILDS[name](torch.optim.lr_scheduler, theirs)
    for _ in range(9):
        np.testing.assert_allclose(schedule.get_last_lr(), other.get_last_lr(), rtol=1e-9)
        assert schedule.get_last_lr() == [group["lr"] for group in ours.param_groups]
        for group, wanted in zip(ours.param_groups, theirs.param_groups, strict=True):
            np.testing.assert_allclose(group["momentum"], wanted["momentum"], rtol=1e-9)
        theirs.step()
        schedule.step()
        other.step()


def test_schedules_by_hand():
    optimizer = make(lr=0.8)
    assert rates(lr_scheduler.MultiStepLR(optimizer, [1, 3], 0.5), 3) == [0.8, 0.4, 0.4, 0.2]
    assert rates(lr_scheduler.ConstantLR(make(lr=0.8), 0.5, 2), 3) == [0.4, 0.4, 0.8, 0.8]
    found = rates(lr_scheduler.LinearLR(make(lr=0.8), 0.5, 1.0, 2), 3)
    np.testing.assert_allclose(found, [0.4, 0.6, 0.8, 0.8])
    found = rates(lr_scheduler.PolynomialLR(make(lr=0.8), 2, 2.0), 3)
    np.testing.assert_allclose(found, [0.8, 0.2, 0, 0])
    found = rates(lr_scheduler.CosineAnnealingWarmRestarts(make(lr=0.8), 2, 2), 6)
    high, low = 0.4 + 0.4 / math.sqrt(2), 0.4 - 0.4 / math.sqrt(2)
    np.testing.assert_allclose(found, [0.8, 0.4, 0.8, high, 0.4, low, 0.8])
    found = rates(lr_scheduler.MultiplicativeLR(make(lr=0.8), lambda t: 1 / t), 3)
    np.testing.assert_allclose(found, [0.8, 0.8, 0.4, 0.4 / 3])
    cyclic = lr_scheduler.CyclicLR(make(lr=9.0), 0.0, 1.0, 2, cycle_momentum=False)
    assert rates(cyclic, 5) == [0, 0.5, 1, 0.5, 0, 0.5]


def test_a_plateau_lowers_the_rate_after_its_patience_and_a_cooldown():
    optimizer = make(lr=1.0)
    schedule = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, threshold=0.1, cooldown=2, min_lr=0.2
    )
    seen = []
    for loss in (4.0, 3.9, 3.8, 3.8, 3.8, 3.8, 3.8, 3.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        schedule.step(loss)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2]
    resumed = lr_scheduler.ReduceLROnPlateau(make(lr=1.0), factor=0.5)
    resumed.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert resumed.get_last_lr() == [0.2]
    assert resumed.best == 1.0
    with pytest.raises(TypeError, match="step expects the measure"):
        schedule.step()


def test_a_rate_that_is_a_tensor_keeps_its_memory():
    lr = tensor(np.array(0.8))
    p = tensor(np.array([1.0]), requires_grad=True)
    optimizer = SGD([p], lr=lr)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    schedule.step()
    assert lr.item() == 0.4
    p.grad = [1.0]
    optimizer.step()
    assert p.tolist() == [0.6]


def test_going_on_from_a_number_of_steps():
    optimizer = make(lr=0.8)
    with pytest.raises(ValueError, match="every group needs its 'initial_lr'"):
        StepLR(optimizer, 2, last_epoch=3)
    StepLR(optimizer, 2, 0.5)
    assert StepLR(optimizer, 2, 0.5, last_epoch=3).get_last_lr() == [0.2]


@pytest.mark.parametrize(
    "build",
    [partial(build, lr_scheduler) for build in BUILDS.values()],
    ids=BUILDS,
)
def test_a_loaded_schedule_goes_on_exactly(build):
    whole, optimizer = build(make(groups=2, lr=0.3)), make(groups=2, lr=0.3)
    assert "optimizer" not in repr(whole)
    part = build(optimizer)
    for _ in range(4):
        whole.step()
        part.step()
    state = json.loads(json.dumps(part.state_dict()))
    new = make(groups=2, lr=77.0)
    resumed = build(new)
    resumed.load_state_dict(state)
    assert resumed.get_last_lr() == whole.get_last_lr()
    for _ in range(4):
        whole.step()
        resumed.step()
        assert resumed.get_last_lr() == whole.get_last_lr()
        assert new.param_groups[1]["momentum"] == whole.optimizer.param_groups[1]["momentum"]
    assert part.last_epoch == 4


def test_a_state_of_another_schedule_is_refused():
    schedule = StepLR(make(lr=1.0), 2)
    with pytest.raises(ValueError, match="StepLR: load_state_dict: expected"):
        schedule.load_state_dict(CosineAnnealingLR(make(lr=1.0), 2).state_dict())
    with pytest.raises(ValueError, match="the optimiser has 1 groups, the state 2"):
        schedule.load_state_dict(StepLR(make(groups=2, lr=1.0), 2).state_dict())


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda o: StepLR(o, 0), ValueError, "step_size expects at least 1, got 0"),
        (lambda o: CosineAnnealingLR(o, 0), ValueError, "T_max expects at least 1, got 0"),
        (lambda o: OneCycleLR(o, 1.0, 0), ValueError, "total_steps expects at least 1, got 0"),
        (
            lambda o: OneCycleLR(o, 1.0, 5, pct_start=2),
            ValueError,
            "pct_start expects 0 to 1",
        ),
        (
            lambda o: OneCycleLR(o, 1.0, 5, anneal_strategy="sin"),
            ValueError,
            "expects 'cos' or 'lin",
        ),
        (
            lambda o: OneCycleLR(o, [1.0, 2.0], 5),
            ValueError,
            "max_lr expects a number or 1 of them",
        ),
        (lambda _: StepLR(3, 1), TypeError, "StepLR: expected an Optimizer, got int"),
        (lambda o: OneCycleLR(o, 1.0), ValueError, "expects total_steps, or epochs and steps"),
        (
            lambda o: lr_scheduler.ConstantLR(o, 2),
            ValueError,
            "factor expects a number from 0",
        ),
        (lambda o: lr_scheduler.LinearLR(o, 0), ValueError, "start_factor expects a number from"),
        (lambda o: lr_scheduler.LambdaLR(o, []), ValueError, "lr_lambda expects a function or 1"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1, mode="x"), ValueError, "mode expects 'triang"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1, 0), ValueError, "steps up and down expect at"),
        (
            lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0),
            ValueError,
            "T_0 and T_mult expect at least 1, got 0 and 1",
        ),
        (
            lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1),
            ValueError,
            "factor expects less than 1",
        ),
        (
            lambda o: lr_scheduler.SequentialLR(o, [StepLR(o, 1)], [1]),
            ValueError,
            "1 schedules need 0 milestones in order",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler([StepLR(o, 1), StepLR(make(lr=1.0), 1)]),
            ValueError,
            "all schedules must be of the same optimiser",
        ),
        (lambda o: lr_scheduler.ChainedScheduler([]), ValueError, "expects at least one schedule"),
    ],
)
def test_wrong_settings_are_named(build, error, message):
    with pytest.raises(error, match=message):
        build(make(lr=1.0))


# ------------------------------------------------------------------ clipping


def with_gradients(rng, scale=1.0, dtype=np.float64):
    ps = []
    for shape in ((3, 4), (), (200,)):
        p = tensor(np.zeros(shape, dtype), requires_grad=True)
        p.grad = (scale * rng.normal(size=shape)).astype(dtype)
        ps.append(p)
    return [*ps, tensor([1.0], requires_grad=True)]


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_grad_norm(norm_type, max_norm, monkeypatch):
    monkeypatch.setattr(clipping, "_BLOCK", 16)
    ps = with_gradients(np.random.default_rng(5))
    before = np.concatenate([p.grad.numpy().reshape(-1).copy() for p in ps[:-1]])
    norm = clip_grad_norm_(ps, max_norm, norm_type)
    np.testing.assert_allclose(norm, np.linalg.norm(before, norm_type))
    after = np.concatenate([p.grad.numpy().reshape(-1) for p in ps[:-1]])
    np.testing.assert_allclose(after, before * min(1, max_norm / (norm + 1e-6)), rtol=1e-12)
    assert ps[-1].grad is None


@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
def test_clip_grad_norm_equals_pytorch(norm_type):
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    ps = with_gradients(np.random.default_rng(6))[:-1]
    others = []
    for p in ps:
        other = torch.zeros(p.shape, dtype=torch.float64, requires_grad=True)
        other.grad = torch.tensor(p.grad.numpy().copy())
        others.append(other)
    theirs = torch.nn.utils.clip_grad_norm_(others, 1.0, norm_type)
    np.testing.assert_allclose(clip_grad_norm_(ps, 1.0, norm_type), theirs.item(), rtol=1e-12)
    for p, other in zip(ps, others, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), other.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_squares_of_float32_neither_overflow_nor_vanish(scale):
    ps = with_gradients(np.random.default_rng(7), scale, np.float32)
    flat = np.concatenate([p.grad.numpy().reshape(-1) for p in ps[:-1]]).astype(np.float64)
    np.testing.assert_allclose(clip_grad_norm_(ps, 1.0), np.sqrt((flat**2).sum()), rtol=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_norm_that_is_not_finite(value):
    p, q = (tensor([1.0, 1.0], requires_grad=True) for _ in range(2))
    p.grad, q.grad = [value, 1.0], [2.0, 2.0]
    with pytest.raises(ValueError, match=f"the norm of the gradients is {value}"):
        clip_grad_norm_([p, q], 1.0, error_if_nonfinite=True)
    assert q.grad.tolist() == [2.0, 2.0]
    assert not math.isfinite(clip_grad_norm_([p, q], 1.0))
    assert math.isnan(p.grad.tolist()[0])
    spread = math.nan if math.isnan(value) else 0.0
    np.testing.assert_array_equal(q.grad.numpy(), [spread, spread])


def test_clip_grad_value():
    p = tensor([1.0, 1.0, 1.0], requires_grad=True)
    p.grad = [-3.0, 0.25, math.nan]
    clip_grad_value_(p, 0.5)
    np.testing.assert_array_equal(p.grad.numpy(), np.float32([-0.5, 0.25, math.nan]))


def test_the_norm_and_the_clipping_one_by_one():
    ps = with_gradients(np.random.default_rng(8))[:-1]
    gradients = [p.grad for p in ps]
    kept = [g.numpy().copy() for g in gradients]
    total = get_total_norm(gradients)
    np.testing.assert_allclose(total, np.sqrt(sum((g**2).sum() for g in kept)))
    assert get_total_norm(gradients, 0) == 3.0
    assert get_total_norm(gradients, "inf") == max(np.abs(g).max() for g in kept)
    clip_grads_with_norm_(ps, 1.0, 2.0)
    for g, before in zip(gradients, kept, strict=True):
        np.testing.assert_allclose(g.numpy(), before / (2.0 + 1e-6))


def test_an_iterator_that_was_used_up_is_an_error():
    parameters = iter([tensor([1.0], requires_grad=True)])
    list(parameters)
    for clip in (clip_grad_norm_, clip_grad_value_):
        with pytest.raises(ValueError, match="got no parameters"):
            clip(parameters, 1.0)


def test_clipping_nothing():
    assert clip_grad_norm_([tensor([1.0], requires_grad=True)], 1.0) == 0.0


def test_wrong_limits_are_named():
    p = tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="clip_grad_norm_: norm_type expects at least 0"):
        clip_grad_norm_(p, 1.0, -1.0)
    with pytest.raises(ValueError, match="clip_grad_norm_: max_norm expects at least 0, got -1"):
        clip_grad_norm_(p, -1)
    with pytest.raises(ValueError, match="clip_grad_value_: clip_value expects at least 0, got -1"):
        clip_grad_value_(p, -1)
