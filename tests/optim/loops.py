"""Every optimiser written out for a single number, and the options that tests try."""

from __future__ import annotations

import math

from tinygrad_cnn.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
)


def sgd(p, gradients, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False):
    velocity = None
    for g in gradients:
        g = g + weight_decay * p
        if momentum:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        p = p - lr * g
    return p


def rmsprop(p, gradients, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    square = mean = velocity = 0.0
    for g in gradients:
        g = g + weight_decay * p
        square = alpha * square + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        size = math.sqrt(square - mean * mean if centered else square) + eps
        velocity = momentum * velocity + g / size
        p = p - lr * (velocity if momentum else g / size)
    return p


def adam(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    first = second = 0.0
    for t, g in enumerate(gradients, 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        first = betas[0] * first + (1 - betas[0]) * g
        second = betas[1] * second + (1 - betas[1]) * g * g
        corrected = first / (1 - betas[0] ** t)
        p = p - lr * corrected / (math.sqrt(second / (1 - betas[1] ** t)) + eps)
    return p


def with_amsgrad(p, gradients, lr, amsgrad):
    assert amsgrad
    first = second = greatest = 0.0
    for t, g in enumerate(gradients, 1):
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        greatest = max(greatest, second)
        size = math.sqrt(greatest / (1 - 0.999**t)) + 1e-8
        p = p - lr * first / (1 - 0.9**t) / size
    return p


def adamax(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    first = greatest = 0.0
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * p
        first = betas[0] * first + (1 - betas[0]) * g
        greatest = max(betas[1] * greatest, abs(g) + eps)
        p = p - lr / (1 - betas[0] ** t) * first / greatest
    return p


def nadam(p, gradients, lr, weight_decay=0.0, momentum_decay=4e-3, decoupled_weight_decay=False):
    first = second = 0.0
    product = 1.0
    for t, g in enumerate(gradients, 1):
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        now = 0.9 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        after = 0.9 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product *= now
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        look = (1 - now) / (1 - product) * g + after / (1 - product * after) * first
        p = p - lr * look / (math.sqrt(second / (1 - 0.999**t)) + 1e-8)
    return p


def radam(p, gradients, lr, betas=(0.9, 0.999), weight_decay=0.0, decoupled_weight_decay=False):
    first = second = 0.0
    limit = 2 / (1 - betas[1]) - 1
    for t, g in enumerate(gradients, 1):
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        first = betas[0] * first + (1 - betas[0]) * g
        second = betas[1] * second + (1 - betas[1]) * g * g
        step = first / (1 - betas[0] ** t)
        length = limit - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        if length > 5:
            grown = (length - 4) * (length - 2) * limit
            step *= math.sqrt(grown / ((limit - 4) * (limit - 2) * length))
            step *= math.sqrt(1 - betas[1] ** t) / (math.sqrt(second) + 1e-8)
        p = p - lr * step
    return p


def adagrad(p, gradients, lr, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10):
    total = initial_accumulator_value
    for t, g in enumerate(gradients):
        g = g + weight_decay * p
        total += g * g
        p = p - lr / (1 + t * lr_decay) * g / (math.sqrt(total) + eps)
    return p


def adadelta(p, gradients, lr, rho=0.9, eps=1e-6, weight_decay=0):
    square = moved = 0.0
    for g in gradients:
        g = g + weight_decay * p
        square = rho * square + (1 - rho) * g * g
        step = math.sqrt(moved + eps) / math.sqrt(square + eps) * g
        moved = rho * moved + (1 - rho) * step * step
        p = p - lr * step
    return p


def asgd(p, gradients, lr, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0):
    assert t0 >= 1  # the average beside it is looked at in a test of its own
    rate = lr
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * p
        p = p * (1 - lambd * rate) - rate * g
        rate = lr / (1 + lambd * lr * t) ** alpha
    return p


def lion(p, gradients, lr, betas=(0.9, 0.99), weight_decay=0):
    mean = 0.0
    for g in gradients:
        step = math.copysign(1, betas[0] * mean + (1 - betas[0]) * g)
        p = p * (1 - lr * weight_decay) - lr * step
        mean = betas[1] * mean + (1 - betas[1]) * g
    return p


def rprop(p, gradients, lr, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    length, before = lr, 0.0
    for g in gradients:
        agreement = g * before
        factor = etas[1] if agreement > 0 else etas[0] if agreement < 0 else 1
        length = min(max(length * factor, step_sizes[0]), step_sizes[1])
        if agreement < 0:
            g = 0.0
        p = p - (length if g > 0 else -length if g < 0 else 0)
        before = g
    return p


def adamw(p, gradients, lr, weight_decay=0.01, **options):
    return adam(p, gradients, lr, weight_decay=weight_decay, decoupled=True, **options)


CASES = [
    (SGD, sgd, {"lr": 0.1}),
    (SGD, sgd, {"lr": 0.1, "weight_decay": 0.3}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.2}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    (RMSprop, rmsprop, {"lr": 0.1}),
    (RMSprop, rmsprop, {"lr": 0.1, "alpha": 0.7, "eps": 0.1, "weight_decay": 0.2}),
    (RMSprop, rmsprop, {"lr": 0.1, "momentum": 0.9}),
    (RMSprop, rmsprop, {"lr": 0.1, "centered": True, "alpha": 0.9}),
    (RMSprop, rmsprop, {"lr": 0.1, "centered": True, "momentum": 0.5, "weight_decay": 0.1}),
    (Adam, adam, {"lr": 0.1}),
    (Adam, adam, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.01, "weight_decay": 0.2}),
    (AdamW, adamw, {"lr": 0.1}),
    (AdamW, adamw, {"lr": 0.1, "betas": (0.5, 0.75), "weight_decay": 0.5}),
    (Adam, with_amsgrad, {"lr": 0.1, "amsgrad": True}),
    (Adamax, adamax, {"lr": 0.1}),
    (Adamax, adamax, {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.1, "weight_decay": 0.2}),
    (NAdam, nadam, {"lr": 0.1}),
    (NAdam, nadam, {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.2}),
    (NAdam, nadam, {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    (RAdam, radam, {"lr": 0.1}),
    (RAdam, radam, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.2}),
    (RAdam, radam, {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    (Adagrad, adagrad, {"lr": 0.1}),
    (Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.2, "eps": 0.1}),
    (Adagrad, adagrad, {"lr": 0.1, "initial_accumulator_value": 0.3}),
    (Adadelta, adadelta, {"lr": 0.5}),
    (Adadelta, adadelta, {"lr": 1.0, "rho": 0.5, "eps": 0.1, "weight_decay": 0.2}),
    (ASGD, asgd, {"lr": 0.1}),
    (ASGD, asgd, {"lr": 0.1, "lambd": 0.5, "alpha": 0.9, "t0": 1, "weight_decay": 0.2}),
    (Lion, lion, {"lr": 0.1}),
    (Lion, lion, {"lr": 0.1, "betas": (0.5, 0.75), "weight_decay": 0.5}),
    (Rprop, rprop, {"lr": 0.1}),
    (Rprop, rprop, {"lr": 0.1, "etas": (0.25, 3.0), "step_sizes": (0.05, 0.2)}),
]
CASES += [
    (
        cls,
        lambda p, gradients, loop=loop, maximize=True, **o: loop(p, [-g for g in gradients], **o),
        {**options, "maximize": True},
    )
    for cls, loop, options in CASES
    if len(options) == 1
]
IDS = [f"{case[0].__name__}-{'-'.join(case[2])}" for case in CASES]


def run(optimizer, p, gradients):
    for g in gradients:
        p.grad = g
        optimizer.step()
