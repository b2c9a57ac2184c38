"""`chainrule exercise`: problems about backward passes, and the marking of answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chainrule.cli.options import Json, Output, Overwrite, Seed, refuse_loss
from chainrule.errors import DataError, DataFileNotFoundError, ParameterError

if TYPE_CHECKING:
    from chainrule.exercises.exercise import Exercise

MOST_BYTES = 800_000  # of a file: four for each of the characters that are read at most


def new(
    *,
    topic: Annotated[str | None, Parameter(metavar="TOPIC")] = None,
    seed: Seed = 0,
    level: Annotated[int, Parameter(metavar="1|2|3")] = 2,
    solution: bool = False,
    text: bool = False,
    json: Json = False,
    output: Output = None,
    overwrite: Overwrite = False,
) -> int:
    """Write a problem, and with --solution its worked solution.

    The problem is Markdown with mathematics between dollar signs. Write the answers after
    `Answer (a):` and so on, and give the file to `chainrule exercise mark`. Without --topic the
    topics are listed.

        chainrule exercise new --topic linear-regression --seed 7 -o problem.md

    Args:
        topic: What it is about.
        level: From 1, step by step, to 3.
        solution: Put the worked solution below it.
        text: Plain characters for a terminal, in place of Markdown.
    """
    from chainrule.cli.output import columns, json_text, write
    from chainrule.exercises.exercise import exercise as made

    if text and json:
        raise ParameterError("--text and --json exclude each other", hint="Choose one")
    if topic is None:
        _list_topics(json=json)
        return 0
    found = made(topic, seed, level)
    refuse_loss(output, (), overwrite=overwrite)
    if json:
        write(json_text(_as_json(found, solution=solution)), output)
    else:
        write(found.text(solution, columns()) if text else found.markdown(solution), output)
    return 0


def _list_topics(*, json: bool) -> None:
    from chainrule.cli.output import show, show_json, table
    from chainrule.exercises.topics import TOPICS

    if json:
        show_json({name: topic.about for name, topic in TOPICS.items()})
    else:
        show(table(["topic", "about"], [[name, t.about] for name, t in TOPICS.items()]))


def _as_json(found: Exercise, *, solution: bool) -> dict[str, object]:
    problem = found.problem
    made_from = {"topic": found.topic, "seed": found.seed, "level": found.level}
    parts = [
        {"label": label, "ask": part.ask, "points": part.points}
        for label, part in zip(problem.labels, problem.parts, strict=True)
    ]
    whole = {**made_from, "title": problem.title, "text": problem.text, "parts": parts}
    return {**whole, "solution": found.solution()} if solution else whole


def mark(
    problem: Annotated[Path, Parameter(name="PROBLEM")],
    answers: Annotated[Path | None, Parameter(name="ANSWERS")] = None,
    /,
    *,
    answer: Annotated[tuple[str, ...] | None, Parameter(metavar="a=…", negative=())] = None,
    json: Json = False,
) -> int:
    r"""Mark answers: points for each part, and what is wrong. Exit code 1 unless all are right.

    PROBLEM is a file that `chainrule exercise new` wrote; only its first line is used, from which
    the problem is made again. Answers stand in it, or in the file ANSWERS, after `Answer (a):`, or
    come from --answer. They may be LaTeX, plain characters, NumPy expressions or numbers, in any
    form that is equal. Nothing that is answered is run.

        chainrule exercise mark problem.md --answer 'a=2/m (ŷ - y)' --answer 'b=dy_hat @ X.T'

    Args:
        problem: The problem, FILE.md.
        answers: The answers, if they are in a file of their own.
        answer: One answer, in place of the one in a file; may be given several times.
    """
    from chainrule.cli.output import columns, show, show_json
    from chainrule.exercises.exercise import exercise_of
    from chainrule.exercises.page import answers_in

    page = _read(problem)
    found = exercise_of(page)
    given = answers_in(page if answers is None else _read(answers))
    if answers is not None and not given:
        hint = "Write each answer on a line of its own: Answer (a): …"
        raise DataError("there are no answers in it", where=answers.name, hint=hint)
    given.update(_given(answer or ()))
    marked = found.mark(given)
    if json:
        show_json(marked.json())
    else:
        show(marked.text(columns()))
    return 0 if marked.ok else 1


def _given(answer: tuple[str, ...]) -> dict[str, str]:
    """The answers of --answer by their labels."""
    found = {}
    for text in answer:
        label, equals, value = text.partition("=")
        label = label.strip().strip("()").strip().lower()
        if not equals or not label:
            raise ParameterError(f"--answer takes a=…, got {text[:40]!r}")
        if label in found:
            raise ParameterError(f"--answer answers part ({label[:20]}) twice")
        found[label] = value
    return found


def _read(path: Path) -> str:
    """The text of a file.

    Raises:
        DataFileNotFoundError: there is none.
        DataError: it is too large, no text, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise DataFileNotFoundError(f"file {str(path)!r} not found") from None
    except OSError as problem:
        what = f"{str(path)!r} cannot be read: {problem.strerror or problem}"
        raise DataError(what) from None
    if len(data) > MOST_BYTES:
        raise DataError(f"the file is larger than {MOST_BYTES} bytes", where=path.name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start} is not UTF-8", where=path.name) from None
