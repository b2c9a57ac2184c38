"""Marks: partial credit with its reason, follow-on errors once, nothing unreadable passed over."""

import json
import re
import time

import pytest

import chainrule as cr
from chainrule.exercises.marking import agrees
from chainrule.exercises.parts import Formula
from chainrule.exercises.reading import number, shape_of


@pytest.fixture(scope="module")
def layers():
    """Two layers with tanh, examples in rows, half the mean of squares; (a) … (e)."""
    return cr.exercise("two-layer", 1, 2)


@pytest.fixture(scope="module")
def step():
    """One step of gradient descent."""
    return cr.exercise("gradient-step", 7, 2)


DIAGNOSED = (
    # part, answer, kind, points kept, words of the diagnosis
    ("a", "2(ŷ - y)/m", "factor", 0, "is 2.000 times the right one in every entry"),
    ("a", "ŷ - y", "factor", 0, "5.000 (m) times the right one in every entry: the factor 1/m"),
    ("b", "-A.T @ dy_hat", "sign", 1, "wrong sign in every entry"),
    ("b", "dy_hat.T @ A", "transposed", 1, "comes out transposed"),
    ("b", "Z.T @ dy_hat", "wrong cached value", 1, "computed with Z where A belongs"),
    ("c", "dy_hat @ v_2.T", "missing derivative", 1, "without tanh′(Z)"),
    ("c", "(dy_hat @ v_2.T) * (1 - Z**2)", "derivative at wrong value", 1,
     "with Z where A belongs in tanh′(Z)"),
    ("d", "U.T @ A", "", 0, "no usual mistake alone explains it"),
    ("d", "U @ dZ", "missing transpose", 2, "computed with U where its transpose belongs"),
    ("e", "dZ", "missing sum", 1, "the sum over the rows is missing"),
    ("e", "np.mean(dZ, axis=0)", "factor", 1, "divided by m once too often"),
)  # fmt: skip


@pytest.mark.parametrize(("label", "answer", "kind", "points", "words"), DIAGNOSED)
def test_a_mistake_is_named_and_keeps_its_points(layers, label, answer, kind, points, words):
    part = layers.mark({label: answer})[label]
    assert (part.kind, part.points) == (kind, points), part.says
    assert words in " ".join(part.says.split())
    assert part.verdict == ("partly" if points else "wrong")


def test_a_follow_on_error_costs_nothing_a_second_time(layers):
    mark = layers.mark(
        {
            "a": "(ŷ - y)",
            "b": "A^T (ŷ - y)",
            "c": "((ŷ - y) v_2^T) ⊙ (1 - A ⊙ A)",
            "d": "U^T (((ŷ - y) v_2^T) ⊙ (1 - A ⊙ A))",
        }
    )
    assert [mark[label].verdict for label in "abcde"] == [
        "wrong",
        "right",
        "right",
        "right",
        "missing",
    ]
    assert "Right with your own answer" in mark["b"].says


def test_a_new_mistake_after_an_old_one_still_costs(layers):
    mark = layers.mark({"a": "ŷ - y", "b": "2 A^T (ŷ - y)"})
    assert mark["b"].verdict != "right"


def test_a_follow_on_number_is_computed_with_the_own_number(step):
    mark = step.mark({"b": "-3.5", "d": "1.35"})  # -7/4 is right, and then 1.175
    assert mark["b"].says == "it is twice what it should be"
    assert mark["d"].verdict == "right"
    assert step.mark({"d": "1.35"})["d"].verdict != "right"


def test_slips_with_numbers_are_named(step):
    for label, answer, says in (
        ("b", "-3.5", "it is twice what it should be"),
        ("b", "1.75", "the sign is wrong"),
        ("b", "-0.5", "the inner derivative is missing: each error is to be multiplied by its x"),
        ("b", "-7", "averaged|in front of the sum"),
        ("d", "0.825", "the step goes up: it is minus the gradient"),
        ("d", "0.175", "this is the change, not the new value"),
        ("d", "2.75", "the learning rate is missing"),
    ):
        part = step.mark({label: answer})[label]
        assert re.search(says, part.says), (answer, part.says)
        assert 0 < part.points < part.out_of


UNREAD = (
    ("a", "2/m (ŷ - ", 'the formula ends, expected a number'),
    ("a", "y_hut - y", "y_hut"),
    ("b", "np.sum(", "NumPy"),
    ("c", "import os", ""),
    ("c", "__import__('os').system('echo x')", "__import__"),
    ("d", "(" * 5_000, "characters long"),
    ("d", "((((((" * 200, ""),
    ("e", "\\frac{1}{", ""),
    ("e", "\x00\x1b[2J", ""),
    ("e", "∑∏∫", ""),
    ("e", "\ud800", ""),
)  # fmt: skip


@pytest.mark.parametrize(("label", "answer", "words"), UNREAD)
def test_what_cannot_be_read_is_said_and_never_an_error(layers, label, answer, words):
    start = time.perf_counter()
    mark = layers.mark({label: answer})
    assert time.perf_counter() - start < 1
    part = mark[label]
    assert part.verdict == "unread"
    assert words in part.says
    assert f"not marked: ({label})" in mark.text()
    json.dumps(mark.json())


def test_the_caret_points_at_the_column(layers):
    says = layers.mark({"a": "2/m (ŷ + q)"})["a"].says
    assert "column" in says


def test_a_name_that_the_question_rules_out_is_no_right_answer():
    unit = cr.exercise("activation-derivative", 1, 1)
    mark = unit.mark({"a": "sigma(z)(1 - sigma(z))"})
    assert (mark["a"].points, mark["a"].kind) == (2, "not in these names")
    assert "it contains z" in mark["a"].says
    assert unit.mark({"a": "np.exp(-z)/(1+np.exp(-z))**2"})["a"].points == 2
    assert unit.mark({"a": "a(1 - a)"}).ok


def test_numbers_may_be_written_in_many_ways():
    for text in (
        "0.25",
        ".25",
        "1/4",
        r"\frac{1}{4}",
        "$0.25$",
        "w = 0.25",
        "2.5e-1",
        "0.250",
        "2**-2",
    ):
        assert number(text).value * 4 == 1, text


@pytest.mark.parametrize(
    ("text", "places", "right"),
    [
        ("0.33", 2, True),
        ("0.333", 2, True),
        ("0.3", 2, False),
        ("0.34", 2, False),
        ("1/3", 2, True),
        ("0.33", None, False),
        ("0.3333333333", None, False),
        ("1/3", None, True),
        ("≈ 0.33", 2, True),
    ],
)
def test_a_rounded_number_is_right_to_the_digits_that_are_asked_for(text, places, right):
    from fractions import Fraction

    assert agrees(number(text), Fraction(1, 3), places) is right


def test_shapes_may_be_written_in_many_ways():
    for text in ("3×4", "3 x 4", "(3, 4)", "[3,4]", r"$3 \times 4$", "3 by 4", "(3,4)."):
        assert shape_of(text) == (3, 4), text
    mark = cr.exercise("transpose", 0, 1).mark({"a": "banana"})
    assert mark["a"].verdict == "unread"


def test_an_answer_to_a_part_that_there_is_not_is_mentioned(layers):
    mark = layers.mark({"q": "1"})
    assert "There is no part (q)" in mark.text()


def test_a_mark_in_text_fits_into_its_columns(layers):
    answers = {label: answer for label, answer, *_ in DIAGNOSED} | {"e": "np.sum(("}
    for width in (70, 80, 100):
        text = layers.mark(answers).text(width)
        assert max(map(len, text.splitlines())) <= width


def test_numpy_and_latex_mean_their_own_products():
    """dZ * A is entry by entry in NumPy; side by side it is a product of matrices."""
    task = cr.exercise("transpose", 1, 3)
    label = next(
        x for x, p in zip(task.problem.labels, task.problem.parts, strict=True)
        if isinstance(p, Formula) and p.of == "X"
    )  # fmt: skip
    assert task.judge(label, "G W")
    assert task.judge(label, "G @ W")
    assert not task.mark({label: "G * W.T"}).ok


def test_thirds_may_be_given_as_decimals_where_the_question_says_so():
    task = next(
        t for t in (cr.exercise("gradient-step", seed, 3) for seed in range(60))
        if "3 decimals" in t.problem.text and t.problem.numbers["b"].denominator == 3
    )  # fmt: skip
    true = float(task.problem.numbers["b"])
    assert task.mark({"b": f"{true:.3f}"})["b"].verdict == "right"
    assert task.mark({"b": f"{true:.6f}"})["b"].verdict == "right"
    coarse = task.mark({"b": f"{true:.1f}"})["b"]
    assert (coarse.verdict, coarse.says) == (
        "wrong",
        "close, but the number is asked for to 3 decimals",
    )
    rounded = task.mark({"b": f"{true:.3f}", "d": str(task.problem.numbers["d"])})
    assert rounded["d"].verdict == "right"


@pytest.mark.parametrize("answer", ["0", "2", "\\|a - y\\|^2", "2 sum(a - y)"])
def test_something_of_another_shape_keeps_no_points(answer):
    task = cr.exercise("linear-regression", seed=3, level=1)
    assert task.mark({"a": answer})["a"].points == 0


def test_what_is_wrong_with_latex_is_not_said_as_if_it_were_numpy():
    task = cr.exercise("softmax", seed=3, level=1)
    says = task.mark({"b": r"\sum_i dZ_i U_i^T"})["b"].says
    assert "the index 'i' runs along axes of 2 and 3 entries" in says
    assert "NumPy" not in says
