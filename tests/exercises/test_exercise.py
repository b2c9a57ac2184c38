"""Exercises: problems that are the same for the same seed, solutions that are right, fair marks."""

import re
from fractions import Fraction

import pytest

import chainrule as cr
from chainrule.exercises.parts import Formula, Shape, Value
from chainrule.exercises.topics import TOPICS

MADE = [(topic, seed, level) for topic in TOPICS for level in (1, 2, 3) for seed in (0, 1)]


def right_answers(exercise):
    """One right answer to every part."""
    found = {}
    for label, part in zip(exercise.problem.labels, exercise.problem.parts, strict=True):
        if isinstance(part, Formula):
            found[label] = part.answer
        elif isinstance(part, Value):
            found[label] = str(exercise.problem.numbers[label])
        elif isinstance(part, Shape):
            found[label] = " × ".join(map(str, part.shape))
    return found


@pytest.mark.parametrize(("topic", "seed", "level"), MADE)
def test_the_right_answers_get_all_points(topic, seed, level):
    exercise = cr.exercise(topic, seed, level)
    mark = exercise.mark(right_answers(exercise))
    assert mark.ok, mark.text()
    assert mark.points == mark.out_of


@pytest.mark.parametrize("topic", TOPICS)
def test_the_same_seed_gives_the_same_problem_and_another_gives_another(topic):
    first = cr.exercise(topic, 3).markdown(solution=True)
    assert cr.exercise(topic, 3).markdown(solution=True) == first
    assert len({cr.exercise(topic, seed).markdown() for seed in range(12)}) > 3


def test_a_problem_is_the_same_on_every_machine():
    problem = cr.exercise("gradient-step", 7, 2)
    assert problem.problem.numbers == {
        label: Fraction(x) for label, x in zip("abcde", PINNED, strict=True)
    }


PINNED = ("3/4", "-7/4", "-1/2", "47/40", "21/20")


@pytest.mark.parametrize(("topic", "seed", "level"), MADE)
def test_a_solution_shows_every_part_and_its_formulas_have_balanced_braces(topic, seed, level):
    exercise = cr.exercise(topic, seed, level)
    solution = exercise.solution()
    for label in exercise.problem.labels:
        assert f"**({label})**" in solution
    page = exercise.markdown(solution=True)
    assert page.count("$") % 2 == 0
    for formula in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", page, flags=re.S):
        assert "".join(formula).count("{") == "".join(formula).count("}")


@pytest.mark.parametrize(("topic", "seed", "level"), MADE)
def test_text_for_a_terminal_has_no_latex_and_fits_into_80_columns(topic, seed, level):
    text = cr.exercise(topic, seed, level).text(solution=True)
    for line in text.splitlines():
        assert "\\" not in line, line
        assert "$" not in line, line
        assert len(line) <= 80 or line.startswith("    "), line


def test_numbers_are_short_when_they_are_computed_by_hand():
    for topic in ("gradient-step", "per-example", "random-search", "shapes", "bias"):
        for seed in range(30):
            for level in (1, 2, 3):
                for value in cr.exercise(topic, seed, level).problem.numbers.values():
                    assert value.denominator <= 10**6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("linear-regresion",), "Did you mean 'linear-regression'"),
        (("bias", -1), "seed must be a whole number from 0"),
        (("bias", True), "seed must be a whole number"),
        (("bias", 1, 4), "level must be 1, 2 or 3"),
    ],
)
def test_what_there_is_not_is_refused(arguments, message):
    with pytest.raises(cr.ChainruleError, match=message):
        cr.exercise(*arguments)


@pytest.mark.parametrize("topic", TOPICS)
def test_no_derivative_is_so_small_or_large_that_anything_would_do(topic):
    for level in (1, 2, 3):
        for seed in range(5):
            problem = cr.exercise(topic, seed, level).problem
            formulas = [p.of for p in problem.parts if isinstance(p, Formula)]
            assert problem.network is None or problem.network.moderate(formulas), (seed, level)
            if topic == "gradient-step":
                assert problem.numbers["b"] != 0
                assert problem.numbers["c"] != 0


@pytest.mark.parametrize("topic", TOPICS)
def test_an_answer_that_says_nothing_is_never_right(topic):
    for level in (1, 3):
        exercise = cr.exercise(topic, 11, level)
        pairs = zip(exercise.problem.labels, exercise.problem.parts, strict=True)
        for label in [label for label, part in pairs if isinstance(part, Formula)]:
            for answer in ("0", "1", "-1", "m", "y", "X"):
                assert not _accepted(exercise, label, answer)


def _accepted(exercise, label, answer):
    try:
        return exercise.judge(label, answer)
    except cr.ChainruleError:
        return False
