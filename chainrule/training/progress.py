"""What training says about its progress: a bar on a terminal, plain lines elsewhere.

Written here because importing rich's bar takes about 30 ms and this takes none. No terminal mode is
changed and the cursor stays visible, so there is nothing to restore whatever ends the process: even
a killed run leaves the terminal as it was. The bar needs carriage return and backspace, which every
terminal knows; colour is the only escape sequence, and NO_COLOR (no-color.org) switches it off.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self, TextIO

from chainrule.errors import ParameterError, did_you_mean

Mode = Literal["auto", "bar", "plain", "off"]
MODES: Final = ("auto", "bar", "plain", "off")

REDRAW_S: Final = 0.1
QUIET_S: Final = 10.0  # an epoch that ends after this long without a line is shown even if thinned
LINES: Final = 20  # about how many epochs are shown when there are many
WIDEST_BAR: Final = 30
NARROWEST_BAR: Final = 5
CTRL_C: Final = "^C"  # what a terminal writes behind the bar when the user interrupts
BACKSPACE: Final = "\b"
FALLBACK_COLUMNS: Final = 80
WIDEST_NUMBER: Final = 9  # of four digits: 0.0007674, 1.234e-05


@dataclass(frozen=True)
class Look:
    """Characters and colours of the bar."""

    done: str
    left: str
    colour: str = ""
    dim: str = ""
    reset: str = ""

    def bar(self, share: float, width: int) -> str:
        """`width` columns, of which `share` are done."""
        done = round(share * width)
        return f"{self.colour}{self.done * done}{self.dim}{self.left * (width - done)}{self.reset}"


class Progress:
    """Shows epochs, steps, loss and the time left while training runs; a context manager.

    On a terminal there is one line, a bar for the whole training, that is redrawn at most ten times
    a second, and above it a line for each epoch; elsewhere only the lines. With many epochs the
    lines are thinned to about twenty, the first and the last always among them. A stream that
    cannot be written to silences the display and never stops training.

    Args:
        epochs: how many are planned.
        steps_per_epoch: updates in each.
        stream: where to write, the standard error of the moment if None.
        mode: "bar", "plain" or "off"; "auto" is "bar" on a terminal that is not dumb, else "plain".
        clock: seconds that never run backwards.

    Raises:
        ParameterError: an unknown mode.

    >>> with Progress(2, 10, stream=sys.stdout, mode="plain", clock=lambda: 0.0) as progress:
    ...     for epoch in (1, 2):
    ...         progress.step(0.5, steps=10)
    ...         progress.epoch(epoch, {"loss": 0.5 / epoch, "val_accuracy": 0.9})
    epoch 1/2  loss 0.5000     val_accuracy 0.9000       0 ms  0:00 left
    epoch 2/2  loss 0.2500     val_accuracy 0.9000       0 ms
    """

    def __init__(
        self,
        epochs: int,
        steps_per_epoch: int,
        *,
        stream: TextIO | None = None,
        mode: Mode = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if mode not in MODES:
            raise ParameterError(
                f"progress must be one of {', '.join(MODES)}, got {mode!r}",
                hint=did_you_mean(str(mode), MODES),
            )
        self._stream = sys.stderr if stream is None else stream
        self._mode = _mode_for(self._stream) if mode == "auto" else mode
        self._epochs, self._steps_per_epoch = epochs, max(steps_per_epoch, 1)
        self._look = _look_for(self._stream)
        self._clock = clock
        self._started = self._epoch_started = self._printed = clock()
        self._next_draw = self._started + REDRAW_S
        self._finished, self._step, self._loss = 0, 0, float("nan")
        self._held = ""  # the line of the last epoch, while it is thinned out
        self._drawn = 0  # columns of the bar that is on the screen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shows the last epoch if it was thinned out, and leaves the cursor at a line's start."""
        unfinished = kind is not None and self._drawn > 0
        self._print(self._held)
        if unfinished:  # how far it came stays readable, and what follows begins on its own line
            self._draw(self._clock())
            self._write("\n")
        else:
            self._write(self._erased())
        self._drawn = 0

    def step(self, loss: float, steps: int = 1) -> None:
        """`steps` more updates are done; `loss` is that of the last one."""
        self._step += steps
        self._loss = loss
        if self._mode == "bar" and (now := self._clock()) >= self._next_draw:
            self._next_draw = now + REDRAW_S
            self._draw(now)

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Epoch number `epoch`, counted from 1, has ended with these metrics."""
        now = self._clock()
        self._finished, self._step = epoch, 0
        line = self._epoch_line(epoch, metrics, now)
        self._epoch_started = now
        shown = epoch in (1, self._epochs) or epoch % _every(self._epochs) == 0
        if shown or now - self._printed >= QUIET_S:
            self._print(line)
            self._printed = now
        else:
            self._held = line
        if self._mode == "bar" and epoch < self._epochs and now >= self._next_draw:
            self._draw(now)

    def _epoch_line(self, epoch: int, metrics: Mapping[str, float], now: float) -> str:
        shown = {
            name: f"{name} {_number(value):<{WIDEST_NUMBER}}" for name, value in metrics.items()
        }
        parts = {
            "": self._counted(epoch),
            **shown,
            "seconds": _length(now - self._epoch_started),
            "left": self._time_left(now),
        }
        plain = {name: _plain(part, self._stream) for name, part in parts.items() if part}
        columns = _columns(self._stream) if self._mode == "bar" else sys.maxsize
        return _fitted(plain, ["left", "seconds", *_spare(list(shown))], columns)

    def _counted(self, epoch: int) -> str:
        return f"epoch {epoch:>{len(str(self._epochs))}}/{self._epochs}"

    def _time_left(self, now: float) -> str:
        """The time left if all steps take as long as those so far; "" if none or all are done."""
        share = self._share()
        if not 0.0 < share < 1.0:
            return ""
        return f"{_duration((now - self._started) * (1.0 - share) / share)} left"

    def _share(self) -> float:
        """The part of all planned steps that is done, 0 … 1."""
        done = self._finished * self._steps_per_epoch + self._step
        return min(done / max(self._epochs * self._steps_per_epoch, 1), 1.0)

    def _draw(self, now: float) -> None:
        """The bar, over the one before; what does not fit is left out, least wanted first."""
        columns = _columns(self._stream) - 1  # some terminals wrap when the last one is filled
        epoch = self._counted(min(self._finished + 1, self._epochs))
        wanted = [
            (0, epoch),
            (3, f"{self._share():4.0%}"),
            (1, f"loss {_number(self._loss)}"),
            (2, self._time_left(now)),
        ]
        kept: dict[int, str] = {}
        for rank, text in sorted(wanted):
            if text and len("  ".join((*kept.values(), text))) <= columns:
                kept[rank] = text
        texts = [text for rank, text in wanted if rank in kept]
        length = len("  ".join(texts))
        width = min(columns - length - 2, WIDEST_BAR)
        if 0 in kept and width >= NARROWEST_BAR:
            texts.insert(1, self._look.bar(self._share(), width))
            length += width + 2
        start = self._erased() if self._drawn > columns else "\r"
        longer = min(self._drawn + len(CTRL_C), columns) - length
        self._drawn = length
        self._write(f"{start}{'  '.join(texts)}{' ' * longer}{BACKSPACE * longer}")

    def _erased(self) -> str:
        """What takes the bar off the screen; one that a narrower window has folded stays."""
        columns = _columns(self._stream) - 1
        blank = " " * min(self._drawn + len(CTRL_C), columns)
        folded = "\n" if self._drawn > columns else ""
        return f"\r{blank}\r{folded}" if self._drawn else ""

    def _print(self, line: str) -> None:
        self._held = ""
        if line:
            erased, self._drawn = self._erased(), 0
            self._write(f"{erased}{line}\n")

    def _write(self, text: str) -> None:
        if self._mode == "off" or not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # closed, full or gone: training goes on without it
            self._mode = "off"


def _mode_for(stream: TextIO | None) -> Mode:
    if stream is None:  # a process without a console
        return "off"
    try:
        terminal = stream.isatty()
    except ValueError:  # closed
        return "off"
    return "bar" if terminal and os.environ.get("TERM") != "dumb" else "plain"


def _look_for(stream: TextIO | None) -> Look:
    """Lines where the stream has such characters; colour on terminals without NO_COLOR."""
    plain = Look("━", "─") if _plain("━─", stream) == "━─" else Look("#", ".")
    ansi = os.name != "nt" or "WT_SESSION" in os.environ  # older Windows consoles show the codes
    if _mode_for(stream) != "bar" or os.environ.get("NO_COLOR") or not ansi:
        return plain
    return Look(plain.done, plain.left, colour="\x1b[36m", dim="\x1b[2m", reset="\x1b[0m")


def _plain(line: str, stream: TextIO | None) -> str:
    """The line in characters that the stream can hold, without any that would steer a terminal."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _spare(metrics: Sequence[str]) -> list[str]:
    """The metrics that a narrow terminal can do without, in the order in which they go.

    Those go first that say less than their counterpart in validation; the losses and one more stay.

    >>> _spare(["loss", "r2", "mae", "val_loss", "val_r2", "val_mae"])
    ['mae', 'r2', 'val_mae']
    """
    others = [name for name in metrics if not name.endswith("loss")]
    first = [name for name in others if f"val_{name}" in metrics or name == "penalty"]
    rest = [name for name in others if name not in first]
    return [*reversed(first), *reversed(rest[1:])]


def _fitted(parts: Mapping[str, str], spare: Sequence[str], columns: int) -> str:
    """The parts on one line; where it is too long without those to spare, first to last.

    What is left out of the display is in the history.
    """
    kept = dict(parts)
    for name in spare:
        if len("  ".join(kept.values())) <= columns:
            break
        kept.pop(name, None)
    return _folded(list(kept.values()), columns)


def _folded(parts: Sequence[str], columns: int) -> str:
    """The parts on one line, or on several where the terminal would break them anywhere."""
    lines = [parts[0]]
    for part in parts[1:]:
        joined = f"{lines[-1]}  {part}"
        if len(joined.rstrip()) <= columns:
            lines[-1] = joined
        else:
            lines.append(f"  {part}")
    return "\n".join(line.rstrip() for line in lines)


def _columns(stream: TextIO) -> int:
    """The width of the terminal now: asked each time, so a resized window is followed."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):  # no terminal, or a stream without a file
        columns = 0
    return columns or shutil.get_terminal_size((FALLBACK_COLUMNS, 24)).columns


def _every(epochs: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50 … that thins the epochs to `LINES` or fewer."""
    power = 1
    while True:
        for first in (1, 2, 5):
            if epochs <= LINES * first * power:
                return first * power
        power *= 10


def _number(value: float) -> str:
    """Four significant digits, always as many: columns of numbers stay aligned.

    >>> _number(0.5), _number(12345.0), _number(1e-7), _number(float("nan"))
    ('0.5000', '1.234e+04', '1.000e-07', 'nan')
    """
    return f"{value:#.4g}".removesuffix(".")


def _length(seconds: float) -> str:
    """How long one epoch took.

    >>> _length(0.0134), _length(2.5), _length(1000)
    (' 13 ms', ' 2.5 s', '1000.0 s')
    """
    return f"{1000 * seconds:3.0f} ms" if seconds < 0.9995 else f"{seconds:4.1f} s"


def _duration(seconds: float) -> str:
    """Minutes and seconds, with hours or in days if there are any.

    >>> _duration(5), _duration(754), _duration(7384), _duration(200_000)
    ('0:05', '12:34', '2:03:04', '2 d 7 h')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
