"""Problem files: what is read from them, and that nothing else in them is trusted."""

import time

import pytest

import chainrule as cr
from chainrule.errors import DataError, ParameterError, VersionError
from chainrule.exercises.exercise import exercise_of
from chainrule.exercises.page import answers_in

HEAD = "<!-- chainrule exercise: topic={} seed={} level={} version={} -->"


def test_a_problem_file_makes_its_exercise_again():
    made = cr.exercise("softmax", 12, 3)
    again = exercise_of(made.markdown(solution=True))
    assert (again.topic, again.seed, again.level) == ("softmax", 12, 3)
    assert again.markdown() == made.markdown()


def test_what_stands_in_the_file_does_not_change_the_problem():
    page = (
        cr.exercise("gradient-step", 7)
        .markdown()
        .replace("\\eta", "changed")
        .replace("points", "p")
    )
    assert exercise_of(page).problem.numbers == cr.exercise("gradient-step", 7).problem.numbers


@pytest.mark.parametrize(
    ("head", "error", "message"),
    [
        ("# no problem", DataError, "no problem file"),
        (HEAD.format("nothing", 1, 2, 1), ParameterError, "there is no topic 'nothing'"),
        (HEAD.format("bias", 1, 9, 1), ParameterError, "level must be 1, 2 or 3"),
        (HEAD.format("bias", 1, 2, 99), VersionError, "version 99"),
        (HEAD.format("bias", "9" * 30, 2, 1), DataError, "no problem file"),
        (HEAD.format("../../etc", 1, 2, 1), DataError, "no problem file"),
        (" " * 5_000 + HEAD.format("bias", 1, 2, 1), DataError, "no problem file"),
    ],
)
def test_a_head_that_is_none_is_refused(head, error, message):
    with pytest.raises(error, match=message):
        exercise_of(head)


def test_answers_stand_behind_their_labels_or_below():
    text = """
Answer (a): $x + 1$

**Answer (b):**
```
np.sum(
  dZ, axis=1)
```

answer (c)  2/3
more of it

Answer (d):

**(e)** Find it. *(2 points)*

Answer (e):

dZ @ X.T

Something else.
"""
    found = answers_in(text)
    assert found["a"] == "$x + 1$"
    assert " ".join(found["b"].split()) == "``` np.sum( dZ, axis=1) ```"
    assert found["c"] == "2/3\nmore of it"
    assert found["d"] == ""
    assert found["e"] == "dZ @ X.T"


def test_the_answers_of_the_solution_are_not_taken_for_those_of_the_student():
    page = cr.exercise("bias", 1).markdown(solution=True) + "\n\nAnswer (a): G"
    assert answers_in(page) == {"a": "", "b": ""}


def test_an_untouched_problem_has_no_answers():
    for topic in ("bias", "gradient-step", "two-layer"):
        task = cr.exercise(topic, 4)
        mark = task.mark(task.markdown())
        assert {p.verdict for p in mark.parts} == {"missing"}


def test_too_much_is_refused():
    with pytest.raises(DataError, match="at most"):
        answers_in("x" * 300_000)
    with pytest.raises(DataError, match="answered twice"):
        answers_in("Answer (a): 1\nAnswer (a): 2")
    with pytest.raises(DataError, match="more than 50 answers"):
        answers_in("\n".join(f"Answer ({i}): 1" for i in range(60)))


@pytest.mark.parametrize("unit", ["Answer (", "**(a)** ", "\n", "Answer (a", " \t", "$$", "<!-- "])
def test_hostile_pages_are_read_at_once(unit):
    start = time.perf_counter()
    try:
        answers_in(unit * (190_000 // len(unit)))
        exercise_of(unit * (190_000 // len(unit)))
    except cr.ChainruleError:
        pass
    assert time.perf_counter() - start < 1
