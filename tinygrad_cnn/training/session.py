"""A training session from beginning to end: check, train, save, stop when asked, report."""

from __future__ import annotations

import copy
import shlex
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_cnn.data import Splits
from tinygrad_cnn.distributed import rank, world_size
from tinygrad_cnn.random import get_rng_state, set_rng_state
from tinygrad_cnn.tensor import tensor
from tinygrad_cnn.training.curves import draw_curves
from tinygrad_cnn.training.errors import RunError
from tinygrad_cnn.training.folder import Onlooker, RunFolder, data_checksum, versions
from tinygrad_cnn.training.recipes import Settings
from tinygrad_cnn.training.terminal import Silence, Terminal, score_text
from tinygrad_cnn.training.together import agreed, resume_command
from tinygrad_cnn.training.trainer import Trainer
from tinygrad_cnn.verify import check_training
from tinygrad_cnn.verify.training.slopes import check_gradients

__all__ = ["Draw", "resume_run", "start_run"]

Draw = Callable[..., list[str]]
"""``draw(loss, model, folder, anomaly=None)``: draws the graph of a loss, computed by a network,
into a folder, and colours the place of an anomaly; returns what to tell."""

_CHECKED_IMAGES = 16
_CHECKED_IMAGES_OF_LARGE = 4  # of networks that have more than a million parameters
_SECONDS_BETWEEN_CHECKPOINTS = 10.0
_GRAPH = ("graph.dot", "graph.svg")
_TELLING_IMAGES = 8  # of fewer images a gradient of zeros tells little


def start_run(
    settings: Settings,
    splits: Splits,
    folder: Path,
    *,
    check: bool = True,
    draw: Draw | None = None,
    quiet: bool = False,
) -> int:
    """Train a network from the beginning.

    Parameters
    ----------
    settings, splits
        What to train, and on what.
    folder
        The run's folder, empty.
    check
        Whether to verify the gradients first.
    draw
        Draws the compute graph; None leaves it out.
    quiet
        Say nothing but the results at the end.

    Returns
    -------
    int
        The exit status: 0 once the run is finished, 128 + the signal that stopped it.

    Raises
    ------
    RunError
        If gradients are wrong, training diverges, or the data do not fit the network.
    SettingsError
        If the settings do not fit the data.
    OSError
        If the folder cannot be written.
    """
    trainer = Trainer(settings, splits)
    terminal = _terminal(trainer, quiet)
    terminal.note(
        f"{settings.network}: {trainer.network.about}\n"
        f"{settings.data}: {len(splits.train):,} training and {len(splits.test):,} test images\n"
        f"{settings}"
    )
    if check and rank() == 0:
        _check(trainer, terminal)
    run = _run_folder(folder)
    run.clean()
    run.begin(trainer)
    return _train(trainer, run, terminal, draw)


def resume_run(
    folder: Path,
    load: Callable[[str], Splits],
    *,
    agree: Callable[[Settings], None] = lambda _: None,
    draw: Draw | None = None,
    quiet: bool = False,
) -> int:
    """Go on with a run that was stopped or killed; its folder ends as if it never had been.

    Parameters
    ----------
    folder
        The run's folder.
    load
        Loads the data of that name.
    agree
        Looks at the run's settings, and may raise if they are not what was asked for.
    draw
        Draws the compute graph, if the run was killed before that was done.
    quiet
        Say nothing but the results at the end.

    Returns
    -------
    int
        As for `start_run`.

    Raises
    ------
    RunError
        If the folder holds no run, its checkpoint is damaged, or the data changed.
    OSError
        If the folder cannot be read or written.
    """
    run = _run_folder(folder)
    checkpoint = None if run.has_only_begun() else run.load()
    settings, about = (
        run.load_config() if checkpoint is None else (checkpoint.settings, checkpoint.about)
    )
    agree(settings)
    splits = load(settings.data)
    if data_checksum(splits) != about["data_crc32"]:
        raise RunError(f"{settings.data} does not hold the data that {run} began with")
    trainer = Trainer(settings, splits)
    terminal = _terminal(trainer, quiet)
    run.clean()
    _warn_of_versions(run, about["versions"], terminal)
    if checkpoint is None:
        run.begin(trainer)
    else:
        trainer.load_state(checkpoint.values, checkpoint.arrays)
        if trainer.finished and (folder / "model.npz").exists():
            score = score_text(trainer.task.metric, trainer.position.epoch_rows[-1].test_score)
            terminal.result(
                f"{run} is finished: {trainer.settings.epochs} of {trainer.settings.epochs} "
                f"epochs, test {score}"
            )
            return 0
        run.restore(trainer)
    position = trainer.position
    terminal.note(
        f"{settings_text(trainer.settings)}\ngoing on with {run} after {position.epochs} epochs "
        f"and {position.steps} of {trainer.steps_per_epoch} steps"
    )
    return _train(trainer, run, terminal, draw)


def _warn_of_versions(run: RunFolder, began_with: dict[str, str], terminal: Terminal) -> None:
    changed = [name for name, version in versions().items() if version != began_with[name]]
    if changed:
        terminal.warn(
            f"warning: {run} began with another version of {', '.join(changed)}: "
            "the last bits of the weights may differ"
        )


def settings_text(settings: Settings) -> str:
    """Return network, data and settings in one line."""
    return f"{settings.network} on {settings.data}: {settings}"


def _terminal(trainer: Trainer, quiet: bool) -> Terminal:
    settings = trainer.settings
    kind = Terminal if rank() == 0 else Silence  # one speaks, and writes
    return kind(settings.epochs, trainer.steps_per_epoch, trainer.task.metric, quiet)


def _run_folder(folder: Path) -> RunFolder:
    return RunFolder(folder) if rank() == 0 else Onlooker(folder)


def _check(trainer: Trainer, terminal: Terminal) -> None:
    large = sum(p.numel() for p in trainer.model.parameters()) > 1_000_000
    count = _CHECKED_IMAGES_OF_LARGE if large else _CHECKED_IMAGES
    images, labels = _first_images(trainer, count)
    targets = trainer.task.targets(labels)
    report = check_gradients(trainer.model, trainer.network.loss, images, targets)
    if report.failures:
        raise RunError(
            f"the gradients of {len(report.failures)} of {len(report.checks)} parameters are "
            "wrong, so nothing was trained (--no-check trains all the same)\n"
            + "\n".join(f"  {failure}" for failure in report.failures)
        )
    for name in report.never_learns:
        terminal.warn(
            f"WARNING: the gradient of {name} is exactly zero everywhere: it will not learn"
        )
    terminal.note(
        f"gradients of {len(report.checks)} parameters verified "
        f"(worst relative error {report.worst:.1e})"
    )
    _check_step(trainer, terminal)


def _check_step(trainer: Trainer, terminal: Terminal) -> None:
    """Warn of what is wrong with a whole training step, done with copies."""
    images, labels = _first_images(trainer, _CHECKED_IMAGES)
    model, optimizer = copy.deepcopy((trainer.model.train(), trainer.optimizer))
    batch = tensor(images), tensor(trainer.task.targets(labels))
    step = check_training(model, trainer.network.loss, optimizer, batch, gradients=False)
    for finding in step:
        if finding.code != "zero gradient":  # said by the gradients' own check
            terminal.warn(f"WARNING: {finding.code}: {finding.text}")


def _first_images(trainer: Trainer, count: int) -> tuple[Any, Any]:
    """Return the first images that the network will learn from, with labels; at least two."""
    needed = -(-count // trainer.settings.batch_size)
    batches = islice(trainer.batches(0), needed)
    images, labels = zip(*((x.numpy(), y.numpy()) for x, y in batches), strict=True)
    return np.concatenate(images)[:count], np.concatenate(labels)[:count]


def _draw(trainer: Trainer, draw: Draw, folder: Path) -> list[str]:
    """Compute the first batch's loss with a copy of the network and draw its graph."""
    images, labels = _first_images(trainer, max(2, trainer.settings.batch_size))
    model = copy.deepcopy(trainer.model)
    targets = trainer.task.targets(labels)
    state = get_rng_state()  # a run that is resumed after this goes on with the same numbers
    try:
        loss = trainer.network.loss(model(tensor(images)), tensor(targets))
        return draw(loss, model, folder)
    finally:
        set_rng_state(state)


# ---------------------------------------------------------------------------------------------


class _Stop:
    """Whether a signal asked the run to stop, and which."""

    signal: int = 0


@contextmanager
def _stop_by_signal() -> Iterator[_Stop]:
    """Note Ctrl-C and termination, to stop after a whole step; a second Ctrl-C stops at once."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread gets signals
        return

    def note(number: int, _frame: FrameType | None) -> None:
        stop.signal = number
        if world_size() > 1:
            return  # the launcher may send a second one after the terminal's; its own ends all
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train(trainer: Trainer, run: RunFolder, terminal: Terminal, draw: Draw | None) -> int:
    """Train to the end, or until a signal; save either way."""
    if world_size() > 1:
        terminal.warn(
            f"{world_size()} processes share each batch; if one is lost all end, and what is saved "
            f"goes on with: {resume_command(shlex.quote(str(run)))}"
        )
        draw = draw if rank() == 0 else None
    if draw is not None and not all((run.path / name).exists() for name in _GRAPH):
        for line in _draw(trainer, draw, run.path):
            terminal.note(line)
    saved = time.monotonic()
    warned = trainer.settings.batch_size < _TELLING_IMAGES
    try:
        with _stop_by_signal() as stop, _without_numpys_warnings():
            for step in trainer.steps():
                terminal.step(step)
                if step.epoch_row:
                    warned = _warn_of_silence(trainer, terminal, warned)
                now = time.monotonic()
                due = now - saved > _SECONDS_BETWEEN_CHECKPOINTS
                stop.signal = agreed(stop.signal)
                if step.epoch_row or due or stop.signal:
                    run.save(trainer)
                    saved = now
                if stop.signal and not trainer.finished:
                    position = trainer.position
                    terminal.warn(
                        f"stopped after {position.epochs} epochs and {position.steps} of "
                        f"{trainer.steps_per_epoch} steps; to go on: "
                        f"{resume_command(shlex.quote(str(run)))}"
                    )
                    return 128 + stop.signal
        _finish(trainer, run, terminal)
    except RunError as error:
        if draw is not None and error.anomaly is not None and error.anomaly.result is not None:
            for line in draw(error.anomaly.result, trainer.model, run.path, error.anomaly):
                terminal.note(line)
        raise
    finally:
        terminal.close()
    return 0


@contextmanager
def _without_numpys_warnings() -> Iterator[None]:
    """Leave it to the trainer to say that a loss is not finite, once and in a sentence.

    NumPy would say it before, of a kernel's line. Its own switch is one of the thread, and kernels
    have several.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _warn_of_silence(trainer: Trainer, terminal: Terminal, warned: bool) -> bool:
    """Warn, once a run, of parameters that have stopped learning; return whether that was done."""
    silent = [] if warned else trainer.silent()
    if silent:
        terminal.warn(
            f"WARNING: in the last step of epoch {trainer.position.epochs} the gradient of "
            f"{', '.join(silent)} was exactly zero everywhere: learning may have stopped there; "
            "another --seed or a smaller --lr may help"
        )
    return bool(silent) or warned


def _finish(trainer: Trainer, run: RunFolder, terminal: Terminal) -> None:
    """Show the results and write weights and curves."""
    tested = trainer.test()
    if rank():
        return
    dataset, metric, position = trainer.test_set, trainer.task.metric, trainer.position
    terminal.note(trainer.task.table(tested.answers, dataset.labels, dataset.classes))
    terminal.result(
        f"test {score_text(metric, tested.score)}, loss {tested.loss:.4g} "
        f"on {len(dataset):,} images after {position.seconds:.1f} s of training"
    )
    title = settings_text(trainer.settings)
    try:
        draw_curves(run.path / "curves.png", title, metric, position.step_rows, position.epoch_rows)
    except ImportError:
        terminal.note("curves.png needs matplotlib: pip install 'tinygrad-cnn[plots]'")
    run.save_model(trainer)
    terminal.result(f"saved in {run}")
