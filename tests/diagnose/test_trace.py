"""NumPy functions are written down as what they are, or not at all."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnose.lower import lower
from chainrule.diagnose.numerical import loss_of, truth_from_values
from chainrule.diagnose.precision import Prepared
from chainrule.diagnose.recognise import variants
from chainrule.diagnose.tape import Untraceable
from chainrule.diagnose.trace import trace
from chainrule.expr import postorder

RNG = np.random.default_rng(3)
POINT = {
    "A": RNG.normal(size=(3, 4)),
    "B": RNG.normal(size=(4, 5)),
    "S": RNG.normal(size=(4, 4)),
    "v": RNG.normal(size=4),
    "c": RNG.normal(size=(3, 1)),
    "r": RNG.normal(size=(1, 4)),
    "q": np.array(0.7),
}


# every way of writing that is followed: the value, and with it the gradients, must be NumPy's
def ways():
    """A, B, S, v, c, r, q → a number, in every way that is followed."""
    f = {}
    f["products"] = lambda A, B, S, v, **_: (A @ B).sum() + np.dot(A, S).sum() + A.dot(v).sum()
    f["stacks"] = lambda A, B, q, **_: np.matmul(np.stack([A, 2 * A]), B).sum() * q
    f["vectors"] = lambda S, v, r, **_: v @ v + np.inner(v, v) + np.vdot(v, r) + (v @ S @ v)
    f["outer"] = lambda v, c, **_: (np.outer(v, c) ** 2).sum() + np.multiply.outer(v, v).sum()
    f["einsum"] = lambda A, B, v, **_: np.einsum("ij,jk,j->ik", A, B, v).sum()
    f["einsum of one"] = lambda A, c, **_: np.einsum("ij->i", A) @ c[:, 0]
    f["einsum without arrow"] = lambda A, B, q, **_: np.einsum("ij,jk", A, B).sum() * q
    f["tensordot"] = lambda A, B, **_: np.tensordot(A, B, 1).sum()
    f["tensordot of axes"] = lambda A, S, **_: np.tensordot(A, S, axes=([1], [0])).mean()
    f["axes"] = lambda A, v, **_: (A.T.mean(axis=1) * v).sum()
    f["kept axes"] = lambda A, c, **_: (A.sum(-1, keepdims=True) * c).sum()
    f["swapped axes"] = lambda A, c, **_: (np.swapaxes(A, 0, 1) @ c).sum()
    f["moved axes"] = lambda B, **_: (np.moveaxis(B, 0, 1) ** 2).max()
    f["columns"] = lambda S, v, **_: (v.reshape(-1, 1) * S).sum() + np.expand_dims(v, 0).sum()
    f["rows"] = lambda v, r, **_: np.squeeze(r) @ v + r.ravel() @ v
    f["new axes"] = lambda B, v, **_: (v[:, None] * B).mean()
    f["a table made flat"] = lambda A, **_: np.arange(12) @ A.reshape(12) + A.flatten().max()
    f["broadcasting"] = lambda A, v, c, r, q, **_: (A + c + r + v + q).std() + (c * r).var(0).sum()
    f["a square that meets itself"] = lambda S, **_: (S + S.T).clip(0, 1).sum() + (S @ S).sum()
    f["pairs of one axis"] = lambda v, **_: (np.abs(v[:, None] - v[None, :]) ** 3).sum()
    f["exponentials"] = lambda A, **_: np.sum(np.exp(-np.abs(A)) + np.expm1(A / 9) + np.exp2(A))
    f["logarithms"] = lambda A, **_: np.sum(
        np.log1p(A * A) + np.log2(3 + A * A) + np.log10(2 + A * A)
    )
    f["roots and powers"] = lambda A, **_: np.sum(np.sqrt(1 + A**2) + np.square(A) + 2.0**A + A**3)
    f["hyperbolic functions"] = lambda A, **_: np.sum(np.tanh(A) + np.sinh(A) + np.cosh(A))
    f["other functions"] = lambda A, **_: np.sum(np.reciprocal(2 + A * A) + np.logaddexp(0, A))
    f["signs"] = lambda A, **_: np.sum(np.sign(A) * A - abs(-A) + np.positive(A))
    f["where"] = lambda A, **_: np.where(A > 0, A, 0.1 * A).sum()
    f["extremes"] = lambda A, v, **_: np.maximum(A, 0).sum() + np.minimum(v, 1.0) @ v
    f["extremes of axes"] = lambda A, **_: A.max(axis=1).min() + np.maximum.reduce(A, axis=0).sum()
    f["comparisons"] = lambda A, **_: (A * (A >= 0.2)).sum() + np.sum(A * ((A > 0) & (A < 1)))
    f["in place"] = lambda A, c, **_: _in_place(A, c)
    f["masked assignment"] = lambda A, **_: _masked(A)
    f["entries"] = lambda A, B, v, **_: A[1, 2] * v[0] + A[:, 1] @ A[:, -1] + B[1:3].sum()
    f["lists of entries"] = lambda A, v, **_: (
        A[np.arange(3), np.array([0, 3, 1])].sum() + v[[2, 0]].sum()
    )
    f["joined side by side"] = lambda A, c, **_: (np.hstack([A, c]) ** 2).sum()
    f["joined"] = lambda A, v, r, **_: (
        np.vstack([A, r]).max() + np.concatenate([v, v]) @ np.arange(8)
    )
    f["stacked"] = lambda v, **_: (np.stack([v, v * v], 1) ** 2).mean()
    f["loops"] = lambda A, v, **_: sum(np.tanh(row @ v) for row in A) / len(A)
    f["norms"] = lambda A, v, **_: np.linalg.norm(A) + np.linalg.norm(v) ** 2 / v.size
    f["sizes"] = lambda A, B, **_: A.sum() / A.shape[1] + 1 / (2 * B.shape[0]) * B.sum() / B.size
    f["a number"] = lambda A, v, q, **_: float((A @ v).sum() * q)
    f["an item"] = lambda A, v, c, **_: (c.T @ A @ v).item()
    f["types and copies"] = lambda A, v, **_: (A.astype(float) @ v.copy()).sum() + np.add.reduce(v)
    return f


WAYS = ways()


def _in_place(A, c):
    Z = A * 2
    Z += c
    H = Z
    H *= Z
    return Z.sum()


def _masked(A):
    Z = A.copy()
    Z[Z < 0] = 0
    return (Z**2).sum()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_down_has_numpys_value_and_gradients(way):
    function = WAYS[way]
    names = [n for n in inspect.signature(function).parameters if n in POINT]
    point = {n: POINT[n] for n in names}
    found = lower(trace(function, point, {}), "f", names)
    arrays = {n: np.squeeze(a) for n, a in (point | dict(found.own)).items()}
    truth = Prepared(found.definition, names)([arrays])[0]
    assert truth.value == pytest.approx(float(np.asarray(function(**point)).squeeze()), rel=1e-12)
    zero = {n: np.zeros_like(a) for n, a in point.items()}
    independent = truth_from_values(loss_of(function, 1.0), point, names, lambda _: zero)
    for name in names:
        true = independent.grads[name].squeeze()
        error = np.abs(truth.grads[name] - true).max()
        assert error <= 1e-6 * max(1.0, np.abs(true).max()), name


def test_axes_that_meet_get_one_name_and_others_their_own():
    def forward(W, b, X, y):
        return ((W @ X + b - y) ** 2).sum() / X.shape[1]

    point = {"W": np.ones((3, 3)), "b": np.ones((3, 1)), "X": np.ones((3, 3)), "y": np.ones((3, 3))}
    axes = {
        x.name: x.axes for x in lower(trace(forward, point, {}), "f", ["W", "b"]).definition.inputs
    }
    (k, n), m = axes["W"], axes["X"][1]
    assert m == "m"
    assert len({k, n, m}) == 3
    assert axes == {"W": (k, n), "b": (k,), "X": (n, m), "y": (k, m)}


def _assigned(A):
    Z = np.zeros((3, 4))
    Z[0] = A[0]
    return Z.sum()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda A: np.sin(A).sum(), "np.sin"),
        (lambda A: np.array([A[0, 0], A[1, 1]]).sum(), "np.array"),
        (_assigned, "makes a new array"),
        (lambda A: np.cumsum(A).sum(), "np.cumsum"),
        (lambda A: A[A > 0].sum(), "a condition"),
        (lambda A: np.einsum("ii->", A[:, :3]), "diagonal"),
        (lambda A: A.reshape(2, 6).sum(axis=0).max(), "splits an axis"),
        (lambda A: np.linalg.inv(A[:, :3]).sum(), "np.inv"),
        (lambda A: 1.0, "does not come from"),
        (lambda A: [A.sum()], "does not come from"),
        (lambda A: A.nonsense, ".nonsense"),
    ],
)
def test_what_cannot_be_written_down_is_refused(function, why):
    with pytest.raises(Untraceable, match=why):
        lower(trace(function, {"A": POINT["A"]}, {}), "f", ["A"])


def test_a_function_that_cannot_be_written_down_is_checked_by_its_values():
    def forward(W, x):
        return np.sin(W @ x).sum() + np.abs(W).sum()

    def backward(W, x):
        return {"W": np.outer(np.cos(W @ x), x) + np.sign(W)}

    arrays = {"W": np.array([[1.0, 0.0, -2.0], [0.5, 1.5, 0.0]]), "x": np.array([0.2, -0.4, 1.0])}
    report = cr.check_backward(forward, backward, arrays)
    assert report.ok, str(report)
    assert "it uses np.sin" in report.notes[0]
    wrong = cr.check_backward(forward, lambda W, x: {"W": 3 * backward(W, x)["W"]}, arrays)
    assert wrong.mistakes[0].sentence == (
        "factor: dW is 3 times what it should be, which is m for m = 3, the size of axis 1 of W"
    )


@pytest.mark.parametrize(
    ("spelled", "op"),
    [
        (lambda z: 1 / (1 + np.exp(-z)), "sigmoid"),
        (lambda z: np.where(z > 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z))), "sigmoid"),
        (lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)), "tanh"),
        (lambda z: z * (z > 0), "relu"),
        (lambda z: (np.abs(z) + z) / 2, "relu"),
        (lambda z: z / (1 + np.exp(-z)), "silu"),
        (lambda z: np.logaddexp(0, z), "softplus"),
        (lambda z: np.maximum(0.2 * z, z), "leaky_relu"),
        (lambda z: np.exp(z) / np.exp(z).sum(axis=0), "softmax"),
    ],
)  # fmt: skip
def test_known_functions_are_recognised_however_they_are_written(spelled, op):
    def forward(W, X):
        return (spelled(W @ X) ** 2 * np.arange(1.0, 7.0)).sum()

    points = [{"W": RNG.normal(size=(3, 4)), "X": RNG.normal(size=(4, 6))} for _ in range(2)]
    found = [lower(trace(forward, p, {}), "f", ["W"]) for p in points]
    arrays = [{**p, **f.own} for p, f in zip(points, found, strict=True)]
    shown = variants(found[0].definition, arrays)[0]
    assert op in {node.op for node in postorder(shown.root)}


def test_a_factor_found_by_values_alone_is_called_by_the_size_that_it_is():
    def forward(w, X, y):
        r = np.array([float(x @ w) for x in X]) - y  # cannot be written down
        return np.sum(r**2) / 6

    arrays = {"w": np.arange(3.0), "X": np.cos(np.arange(18.0)).reshape(6, 3), "y": np.ones(6)}
    report = cr.check_backward(forward, lambda w, X, y: 2 * X.T @ (X @ w - y), arrays, wrt=["w"])
    assert report.mistakes[0].sentence == (
        "factor: dw is 6 times what it should be, which is m for m = 6, the size of axis 0 of X"
    )


def test_numbers_that_leave_the_trace_in_an_array_are_no_constants():
    def forward(w, X, y):
        r = np.array([float(x @ w) for x in X]) - y
        return np.sum(r**2)

    arrays = {"w": np.arange(3.0), "X": np.cos(np.arange(18.0)).reshape(6, 3), "y": np.ones(6)}
    report = cr.check_backward(forward, lambda w, X, y: 2 * X.T @ (X @ w - y), arrays, wrt=["w"])
    assert report.ok, str(report)
    assert "as float(x) does" in report.notes[0]


def test_a_gradient_of_a_parameter_that_does_nothing_is_wrong_without_a_warning():
    def forward(w, b, y):
        return np.sum((w - y) ** 2) + 0 * np.sum(b)

    arrays = {"w": np.arange(3.0), "b": np.ones(2), "y": np.ones(3)}
    report = cr.check_backward(
        forward, lambda w, b, y: (2 * (w - y), 7 * b), arrays, wrt=["w", "b"]
    )
    assert report.first == "b"


def test_a_gradient_that_forward_prepares_by_assignment_does_not_stop_the_trace():
    """As in cs231n: the loss layer returns the loss and its derivative."""

    def forward(W, X, y):
        rows, z = np.arange(len(y)), X @ W
        probs = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
        loss = -np.mean(np.log(probs[rows, y]))
        dz = probs.copy()
        dz[rows, y] -= 1
        return loss, (X, dz)

    def arrays(rng):
        return {
            "W": rng.normal(size=(4, 3)),
            "X": rng.normal(size=(5, 4)),
            "y": rng.integers(0, 3, 5),
        }

    right = cr.check_backward(forward, lambda cache: [cache[0].T @ cache[1] / 5], arrays, wrt=["W"])
    assert right.ok
    assert not right.notes
    wrong = cr.check_backward(forward, lambda cache: [cache[0].T @ cache[1]], arrays, wrt=["W"])
    assert "the factor 1/m is missing" in wrong.mistakes[0].sentence
