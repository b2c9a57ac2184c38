"""`chainrule check` on Python files that hold backward passes written by hand."""

import pytest

RIGHT = """
import numpy as np
print("this goes to standard error")
def forward(w: "n", X: "m n", y: "m"):
    r = X @ w - y
    return (r * r).mean()
def backward(w, X, y):
    r = X @ w - y
    return {"w": 2 * X.T @ r / len(y)}
"""
WRONG = RIGHT.replace("2 * X.T", "X.T")


def test_a_right_pass_ends_with_0(cr, tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT)
    done = cr("check", "mine.py")
    assert (done.code, "this goes to standard error" in done.err) == (0, True)
    assert done.out.startswith("backward of forward: right (float64, derived from the NumPy code)")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_pass_ends_with_1_and_says_what_is_wrong(cr, tmp_path, dtype):
    (tmp_path / "mine.py").write_text(WRONG)
    done = cr("check", "mine.py", "--dtype", dtype)
    assert done.code == 1
    assert "1. factor: dw is ½ times what it should be: a factor 2 is missing" in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_json_has_the_report(cr, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG)
    found = cr("check", "mine.py", "--json").json
    assert found["ok"] is False
    assert found["reports"] == []
    (report,) = found["backward"]
    assert report["first"] == "w"
    assert report["mistakes"][0]["kind"] == "factor"
    assert report["mistakes"][0]["evidence"].startswith("dw is 0.500 times the true gradient")


def test_several_pairs_and_what_the_file_says_about_them(cr, tmp_path):
    (tmp_path / "mine.py").write_text("""
import numpy as np
import chainrule as c
wrt_net = ["W"]
def arrays_net(rng):
    return {"W": rng.normal(size=(2, 3)), "x": rng.normal(size=3)}
def forward_net(W, x):
    return np.tanh(W @ x).sum()
def backward_net(W, x):
    return np.outer(1 - np.tanh(W @ x) ** 2, x)
def swish(z: "n"):
    return z / (1 + np.exp(-z))
def swish_backward(g, z):
    return g / (1 + np.exp(-z))
def line(w: "", x: "m", y: "m"):
    return c.mse(w * x, y)
""")
    done = cr("check", "mine.py", "--json")
    assert done.code == 1
    assert [(r["name"], r["ok"]) for r in done.json["backward"]] == [
        ("net", True),
        ("swish", False),
    ]
    assert [(r["name"], r["ok"]) for r in done.json["reports"]] == [("line", True)]


def test_the_same_seed_gives_the_same_output(cr, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG)
    assert cr("check", "mine.py", "--seed", 3).out == cr("check", "mine.py", "--seed", 3).out


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("def backward(w): return w", 2, "expected one called 'forward'"),
        ("def backward_net(w): return w", 2, "expected one called 'forward_net'"),
        (
            "def forward(w): return w\ndef backward(w): return w",
            2,
            "the shapes of w are not known. Give arrays={'w': …}",
        ),
        (
            RIGHT.replace("(w, X, y):\n    r = X @ w - y\n    return {", "(w, Q):\n    return {"),
            2,
            "'Q'",
        ),
        ("import os\nraise RuntimeError('no')", 2, "mine.py line 2: RuntimeError: no"),
        ("x = 1", 2, "holds no function annotated with axes"),
    ],
)
def test_a_file_that_cannot_be_checked_says_why(cr, tmp_path, text, code, says):
    (tmp_path / "mine.py").write_text(text)
    done = cr("check", "mine.py")
    assert done.code == code
    assert says in done.err


def test_a_pass_that_stops_is_wrong_and_shows_its_line(cr, tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT.replace("X.T @ r", "X @ r"))
    done = cr("check", "mine.py")
    assert done.code == 1
    assert "raises: backward raised ValueError: matmul" in done.out
    assert "(mine.py line 9)" in done.out.replace("\n  ", "")
    assert "missing transpose: dw is computed with X where its transpose belongs" in done.out


SQUARES = """
import numpy as np
def forward(W, X):
    return np.sum((W @ X) ** 2)
def backward(W, X):
    return 2 * W @ X @ X.T
arrays = {"W": np.ones((2, 3)), "X": np.ones((3, 4))}
wrt = ["W"]
"""


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ('{"W": np.ones((2, 3)), "X": np.ones((3, 4))}', "3", 2, "must be a dict by name"),
        ("np.ones((2, 3))", "[np.ones((2, 3)), np.ones(2)]", 3, "W is a list of arrays"),
        ("np.ones((2, 3))", "{'a': np.ones(2)}", 3, "W is a dict of arrays"),
        ("np.sum((W @ X) ** 2)", "'loss'", 3, "returned a value of type str, expected the loss"),
        ("np.sum((W @ X) ** 2)", "None", 3, "returned a value of type NoneType"),
        ("np.sum((W @ X) ** 2)", "np.nan * np.sum(W @ X)", 3, "the loss is nan"),
    ],
)
def test_what_is_no_loss_or_no_array_is_said_to_be_none(cr, tmp_path, old, new, code, says):
    (tmp_path / "mine.py").write_text(SQUARES.replace(old, new))
    done = cr("check", "mine.py")
    assert done.code == code
    assert says in done.err


def test_a_pass_that_exits_has_not_passed(cr, tmp_path):
    exits = SQUARES.replace("    return 2", "    raise SystemExit(0)\n    return 2")
    (tmp_path / "mine.py").write_text(exits)
    done = cr("check", "mine.py")
    assert done.code == 1
    assert "raises: backward raised SystemExit" in done.out
