"""The progress display, on a pretended terminal whose screen is worked out by character."""

from __future__ import annotations

import io
import os
import re
import sys
import time

import pytest

from chainrule.errors import ParameterError
from chainrule.training.progress import Progress


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal and counts what is drawn."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    def screen(self) -> list[str]:
        """The lines as one would see them: colours dropped, movements obeyed."""
        lines = []
        for line in re.sub(r"\x1b\[\d+m", "", self.getvalue()).split("\n"):
            seen: dict[int, str] = {}
            column = 0
            for character in line:
                if character == "\r":
                    column = 0
                elif character == "\b":
                    column -= 1
                else:
                    seen[column] = character
                    column += 1
            lines.append("".join(seen[c] for c in sorted(seen)).rstrip())
        return lines


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "WT_SESSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


def train(progress: Progress, clock: Clock, epochs: int, steps: int, seconds: float = 0.1) -> None:
    for epoch in range(1, epochs + 1):
        for step in range(steps):
            clock.now += seconds
            progress.step(1 / (epoch + step))
        progress.epoch(epoch, {"loss": 1 / epoch, "val_accuracy": 0.9})


def test_elsewhere_than_on_a_terminal_there_is_one_line_an_epoch():
    stream, clock = io.StringIO(), Clock()
    with Progress(3, 10, stream=stream, clock=clock) as progress:
        train(progress, clock, 3, 10, seconds=0.5)
    assert stream.getvalue().splitlines() == [
        "epoch 1/3  loss 1.000      val_accuracy 0.9000      5.0 s  0:10 left",
        "epoch 2/3  loss 0.5000     val_accuracy 0.9000      5.0 s  0:05 left",
        "epoch 3/3  loss 0.3333     val_accuracy 0.9000      5.0 s",
    ]


@pytest.mark.parametrize(
    ("epochs", "shown"),
    [
        (1, [1]),
        (20, list(range(1, 21))),
        (21, [1, *range(2, 21, 2), 21]),
        (100, [1, *range(5, 101, 5)]),
        (1000, [1, *range(50, 1001, 50)]),
        (1001, [1, *range(100, 1001, 100), 1001]),
    ],
)
def test_many_epochs_are_thinned_with_the_first_and_the_last(epochs, shown):
    stream, clock = io.StringIO(), Clock()
    with Progress(epochs, 1, stream=stream, clock=clock) as progress:
        train(progress, clock, epochs, 1, seconds=0.001)
    assert [int(n) for n in re.findall(r"epoch +(\d+)/", stream.getvalue())] == shown


def test_slow_epochs_are_shown_even_if_they_would_be_thinned_out():
    stream, clock = io.StringIO(), Clock()
    with Progress(1000, 1, stream=stream, clock=clock) as progress:
        train(progress, clock, 9, 1, seconds=6.0)
    assert re.findall(r"epoch +(\d+)/", stream.getvalue()) == ["1", "3", "5", "7", "9"]


def test_training_that_stops_early_shows_the_last_epoch_it_finished():
    stream, clock = io.StringIO(), Clock()
    with Progress(1000, 1, stream=stream, clock=clock) as progress:
        train(progress, clock, 77, 1, seconds=0.001)
    assert stream.getvalue().splitlines()[-1].startswith("epoch   77/1000")


def test_on_a_terminal_the_bar_stands_below_the_epochs():
    stream, clock = Terminal(), Clock()
    with Progress(2, 10, stream=stream, clock=clock) as progress:
        train(progress, clock, 1, 10)
        clock.now += 0.1
        progress.step(0.25)
        done, left = "━" * 16, "─" * 14
        assert stream.screen() == [
            "epoch 1/2  loss 1.000      val_accuracy 0.9000      1.0 s  0:01 left",
            f"epoch 2/2  {done}{left}   55%  loss 0.2500  0:01 left",
        ]
        assert "\x1b[36m" in stream.getvalue()


def test_the_bar_is_gone_when_training_is_done():
    stream, clock = Terminal(), Clock()
    with Progress(2, 10, stream=stream, clock=clock) as progress:
        train(progress, clock, 2, 10)
    assert [line.partition("  ")[0] for line in stream.screen()] == ["epoch 1/2", "epoch 2/2", ""]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_the_bar_stays_and_the_cursor_is_on_a_new_line(error):
    stream, clock = Terminal(), Clock()
    progress = Progress(2, 10, stream=stream, clock=clock)

    def interrupted() -> None:
        with progress:
            train(progress, clock, 1, 10)
            for _ in range(3):
                clock.now += 0.1
                progress.step(0.25)
            stream.write("^C")  # the terminal's echo
            raise error

    with pytest.raises(error):
        interrupted()
    first, bar, last = stream.screen()
    assert first.startswith("epoch 1/2  loss 1.000")
    assert bar.startswith("epoch 2/2  ━")
    assert bar.endswith("65%  loss 0.2500  0:01 left"), "the echo is painted over"
    assert last == ""
    assert not re.search(r"\x1b(?!\[\d+m)", stream.getvalue()), "no terminal mode was changed"


def test_an_error_before_the_first_bar_writes_nothing():
    stream = Terminal()
    with pytest.raises(ValueError, match="early"), Progress(2, 10, stream=stream):
        raise ValueError("early")
    assert stream.getvalue() == ""


def test_the_bar_is_drawn_at_most_ten_times_a_second():
    stream, clock = Terminal(), Clock()
    with Progress(1, 100_000, stream=stream, clock=clock) as progress:
        for _ in range(20_000):
            clock.now += 0.0001
            progress.step(0.5)
    assert 15 <= stream.writes <= 21


def test_a_step_that_is_not_drawn_takes_about_a_microsecond():
    progress = Progress(1, 10**9, stream=Terminal(), clock=lambda: 0.0)
    best = min(_time_of(progress, 10_000) for _ in range(5))
    assert best / 10_000 < 2e-6


def _time_of(progress: Progress, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        progress.step(0.5)
    return time.perf_counter() - start


@pytest.mark.parametrize("columns", [1, 5, 12, 20, 30, 40, 60, 79, 80, 200])
def test_the_bar_never_reaches_the_last_column(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    stream, clock = Terminal(), Clock()
    with Progress(100_000, 10, stream=stream, clock=clock) as progress:
        for _ in range(30):
            clock.now += 1
            progress.step(0.5)
            assert all(len(line) < columns for line in stream.screen())


@pytest.mark.parametrize(
    ("columns", "bar"),
    [
        (60, "epoch 1/9  ━━━━━───────────────────   19%  loss 0.5000  0:45 left"),
        (42, "epoch 1/9   19%  loss 0.5000  0:45 left"),
        (36, "epoch 1/9  loss 0.5000  0:45 left"),
        (25, "epoch 1/9  loss 0.5000"),
        (15, "epoch 1/9"),
    ],
)
def test_a_narrow_terminal_loses_the_least_wanted_first(monkeypatch, columns, bar):
    monkeypatch.setenv("COLUMNS", str(columns))
    stream, clock = Terminal(), Clock()
    progress = Progress(9, 6, stream=stream, clock=clock)
    clock.now += 10.2
    progress.step(0.5, steps=10)
    (seen,) = stream.screen()
    assert re.sub("[━─]+ *", "", seen) == re.sub("[━─]+ *", "", bar)
    assert len(seen) < columns


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (
            120,
            "epoch   1/150  loss 0.0007674  accuracy 0.8000     val_loss 0.5000     "
            "val_accuracy 0.9000      1.0 s  2:29 left",
        ),
        (
            105,
            "epoch   1/150  loss 0.0007674  accuracy 0.8000     val_loss 0.5000     "
            "val_accuracy 0.9000      1.0 s",
        ),
        (
            97,
            "epoch   1/150  loss 0.0007674  accuracy 0.8000     val_loss 0.5000     "
            "val_accuracy 0.9000",
        ),
        (80, "epoch   1/150  loss 0.0007674  val_loss 0.5000     val_accuracy 0.9000"),
    ],
)
def test_epoch_lines_leave_out_the_time_and_then_what_validation_says_too(
    monkeypatch, columns, line
):
    monkeypatch.setenv("COLUMNS", str(columns))
    stream, clock = Terminal(), Clock()
    with Progress(150, 10, stream=stream, clock=clock) as progress:
        clock.now += 1.0
        metrics = {"loss": 0.0007674, "accuracy": 0.8, "val_loss": 0.5, "val_accuracy": 0.9}
        progress.epoch(1, metrics)
    assert stream.screen()[0] == line
    assert len(line) <= columns


@pytest.mark.parametrize("rest", [("r2", "mae"), ("accuracy",), ("penalty", "r2", "mae"), ()])
@pytest.mark.parametrize("value", [0.0007674, 1.234e-5, 12345.678, float("nan")])
def test_every_epoch_takes_one_line_of_80_columns_with_losses_below_losses(rest, value):
    names = ["loss", *rest, "val_loss", *(f"val_{name}" for name in rest if name != "penalty")]
    stream, clock = Terminal(), Clock()
    with Progress(200, 10, stream=stream, clock=clock) as progress:
        for epoch, loss in ((1, 0.5), (200, value)):
            clock.now += 1.0
            progress.epoch(epoch, dict.fromkeys(names, loss))
    first, last = (line for line in stream.screen() if line.startswith("epoch") and "val" in line)
    assert max(len(first), len(last)) <= 80
    assert first.index("val_loss") == last.index("val_loss")
    assert not any(line.startswith("  ") for line in stream.screen())


def test_epoch_lines_break_between_metrics_on_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "34")
    stream, clock = Terminal(), Clock()
    with Progress(2, 10, stream=stream, clock=clock) as progress:
        train(progress, clock, 1, 10)
    assert stream.screen()[:3] == [
        "epoch 1/2  loss 1.000",
        "  val_accuracy 0.9000",
        "",
    ]


def test_a_window_made_narrower_keeps_later_lines_clean(monkeypatch):
    stream, clock = Terminal(), Clock()
    with Progress(2, 10, stream=stream, clock=clock) as progress:
        clock.now += 1
        progress.step(0.5)
        monkeypatch.setenv("COLUMNS", "40")
        clock.now += 1
        progress.step(0.5)
        assert stream.screen()[1] == "epoch 1/2   10%  loss 0.5000  0:18 left"


def test_no_color_means_no_escape_sequences(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream, clock = Terminal(), Clock()
    with Progress(2, 10, stream=stream, clock=clock) as progress:
        train(progress, clock, 2, 10)
    assert "━" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream, clock = Terminal(), Clock()
    with Progress(2, 10, stream=stream, clock=clock) as progress:
        train(progress, clock, 2, 10)
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 2


def test_a_stream_without_line_characters_gets_ascii():
    raw, clock = io.BytesIO(), Clock()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="")
    with Progress(1, 10, stream=stream, mode="bar", clock=clock) as progress:
        clock.now += 1
        progress.step(0.5, steps=5)
        progress.epoch(1, {"F₁": 0.5})
    text = raw.getvalue().decode("ascii")
    assert "#" * 15 + "." * 15 in text
    assert r"F\u2081 0.5000" in text


def test_a_metric_name_cannot_steer_the_terminal():
    stream = Terminal()
    with Progress(1, 1, stream=stream) as progress:
        progress.epoch(1, {"\x1b[2Jloss\n": 0.5})
    assert r"\x1b[2Jloss\n 0.5000" in stream.getvalue()


class Broken(Terminal):
    def write(self, text: str) -> int:
        self.writes += 1
        raise BrokenPipeError


def test_a_stream_that_cannot_be_written_never_stops_training():
    stream, clock = Broken(), Clock()
    with Progress(3, 10, stream=stream, clock=clock) as progress:
        train(progress, clock, 3, 10)
    assert stream.writes == 1
    closed = io.StringIO()
    closed.close()
    with Progress(3, 10, stream=closed, clock=clock) as progress:
        train(progress, clock, 3, 10)


def test_a_process_without_standard_error_trains_in_silence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    clock = Clock()
    with Progress(3, 10, clock=clock) as progress:
        train(progress, clock, 3, 10)
    assert capsys.readouterr().out == ""


def test_off_writes_nothing():
    stream, clock = Terminal(), Clock()
    with Progress(3, 10, stream=stream, mode="off", clock=clock) as progress:
        train(progress, clock, 3, 10)
    assert stream.writes == 0


def test_the_standard_error_of_the_moment_is_used(capsys):
    with Progress(1, 1) as progress:
        progress.epoch(1, {"loss": float("inf")})
    out, err = capsys.readouterr()
    assert out == ""
    assert "loss inf" in err


def test_an_unknown_mode_is_refused():
    with pytest.raises(ParameterError, match=r"got 'plan'\. Did you mean 'plain'\?"):
        Progress(1, 1, mode="plan")


def test_zero_epochs_and_zero_steps_are_shown_without_trouble():
    stream, clock = Terminal(), Clock()
    with Progress(0, 0, stream=stream, clock=clock) as progress:
        clock.now += 1
        progress.step(0.5)
    assert "inf" not in stream.getvalue()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_the_width_of_a_real_terminal_is_asked_for():
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "w", encoding="utf-8") as stream:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
        clock = Clock()
        progress = Progress(2, 10, stream=stream, clock=clock)
        clock.now += 1
        progress.step(0.5)
        seen = os.read(master, 4096).decode()
    assert seen.rstrip() == "\repoch 1/2    5%  loss 0.5000"
