"""Right and wrong answers in the ways in which people write them, and an independent truth."""

import functools
import itertools
import re

import numpy as np

import chainrule as cr
from chainrule.diagnose.recognise import values_at
from chainrule.emit.plain import plain
from chainrule.exercises.parts import Formula

STEP = 1e-5  # of central differences, whose error is about its square

# (topic, seed, level, part): answers that are right, by hand
RIGHT = {
    ("linear-regression", 0, 1, "a"): [
        "2/m (ŷ - y)",
        "-2/m (y - ŷ)",
        "2(y_hat - y)/m",
        "dy_hat = 2 * (y_hat - y) / X.shape[1]",
        r"$$\frac{\partial \mathcal{L}}{\partial \hat{y}} = \frac{2(\hat{y} - y)}{m}$$",
        r"\frac{2}{m}(vX + b - y)",
        "(2/m) * (v @ X + b - y)",
        "np.subtract(y_hat, y) * 2 / m",
        r"\frac{2}{m}\hat{y} - \frac{2}{m}y",
        "1/m * (y_hat - y) + (y_hat - y) * 1/m",
    ],
    ("linear-regression", 0, 1, "b"): [
        "dL/dŷ Xᵀ",
        "dy_hat @ X.T",
        r"\frac{2}{m}(\hat{y}X^T - yX^T)",
        r"\left(\frac{2}{m}X(\hat{y} - y)^T\right)^T",
        "2/m*(X @ (y_hat-y).T).T",
        "np.dot(2*(y_hat - y), X.T)/m",
        "2/m * np.sum((y_hat - y) * X, axis=1, keepdims=True).T",
        "2*np.mean((y_hat - y) * X, axis=1)",
        "(2/m)((v X + b) - y)X^T",
        r"\frac{\partial L}{\partial \hat{y}} X^\top",
        r"\nabla_{\hat{y}} L \, X^{\mathsf{T}}",
    ],
    ("linear-regression", 0, 1, "c"): [
        "np.sum(dy_hat)",
        "dy_hat.sum()",
        "2*np.mean(y_hat - y)",
        r"\frac{2}{m}\sum_{i=1}^{m} (\hat{y}_i - y_i)",
        r"\frac{\partial L}{\partial \hat{y}} \vec{1}",
        "sum(2/m (ŷ - y))",
        "2/m*(y_hat - y) @ np.ones_like(y).T",
        "np.sum(2*(y_hat - y), axis=1, keepdims=True)/m",
    ],
    ("logistic-regression", 2, 2, "a"): [],
    ("two-layer", 1, 2, "c"): [
        r"\left(\frac{\partial L}{\partial \hat{y}} v_2^T\right) \odot (1 - A^2)",
        "(dy_hat @ v2.T) * (1 - A**2)",
        "dy_hat @ v_2.T * (1 - np.tanh(Z)**2)",
        r"\frac{1}{m}(\hat{y} - y) v_2^\top \odot \tanh'(Z)",
        "(y_hat - y) @ v_2.T / m * (1 - A) * (1 + A)",
        "np.outer(y_hat - y, v_2)/m * (1 - np.square(A))",
        r"\frac{1}{m}((\hat{y} - y) v_2^T - ((\hat{y} - y) v_2^T) \odot A \odot A)",
    ],
    ("two-layer", 1, 2, "d"): [
        "U.T @ dZ",
        "(dZ.T @ U).T",
        r"U^T \frac{\partial L}{\partial Z}",
        "Uᵀ((1/m)(ŷ - y)v₂ᵀ ⊙ (1 - A ⊙ A))",
        "np.dot(U.T, dy_hat @ v_2.T * (1 - A*A))",
    ],
    ("two-layer", 1, 2, "e"): [
        "np.sum(dZ, axis=0)",
        "dZ.sum(0, keepdims=True)",
        "m * np.mean(dZ, axis=0)",
        r"\vec{1}^T \frac{\partial L}{\partial Z}",
    ],
    ("softmax", 1, 2, "a"): [
        "(P - Y)/m",
        "P/m - Y/m",
        "(softmax(Z, axis=1) - Y)/m",
        r"-\frac{1}{m}(Y - P)",
        "(np.exp(Z)/np.sum(np.exp(Z), axis=1, keepdims=True) - Y) / len(Z)",
    ],
    ("softmax", 1, 2, "b"): ["D.T @ dZ", r"D^T\frac{\partial L}{\partial Z}", "D.T @ (P-Y)/m"],
    ("softmax", 1, 2, "c"): ["dZ.sum(axis=0)", "np.mean(P - Y, axis=0)", "(1/m)1⃗ᵀ(P - Y)"],
    ("transpose", 1, 3, "b"): ["G.T @ X", "(X.T @ G).T", "(X^T G)^T", r"G^\top X"],
    ("transpose", 1, 3, "c"): ["G @ W", "GW", "(W.T @ G.T).T", "np.matmul(G, W)", r"G \cdot W"],
    ("bias", 0, 1, "a"): [
        "np.sum(G, axis=1, keepdims=True)",
        "G.sum(1)",
        r"\sum_{i=1}^m G_{ji}",
        "G 1⃗",
        "G.sum(axis=-1)",
    ],
    ("activation-derivative", 1, 2, "a"): ["1 - np.exp(-s)", "1 - e^{-s}", "1-1/e^s"],
    ("activation-derivative", 1, 1, "a"): ["a - a^2", "a*(1-a)", "a(1-a)", "a - a**2", "a'=a(1-a)"],
    ("chain-rule", 0, 2, "b"): [
        r"\sigma(u)(1 - \sigma(u))(2x + 5)",
        "sigmoid(u) * (1 - sigmoid(u)) * (2*x + 5)",
        "h(1-h)(2x+5)",
        r"\sigma'(x^2 + 5x) \cdot (2x + 5)",
        "dh/du * (2x+5)",
        r"\frac{dh}{du}(2x + 5)",
        "(2*x + 5) * np.exp(-u) / (1 + np.exp(-u))**2",
    ],
    ("chain-net", 1, 1, "c"): [
        "dL/da_1 a_1 (1 - a_1) x",
        "da_1 * a1 * (1 - a1) * x",
        r"\frac{\partial L}{\partial a_1} \sigma'(w_1 x + b_1) x",
        "da1 * sigmoid(w1*x + b1) * (1 - sigmoid(w1*x+b1)) * x",
        "2(a_2-t)a_2(1-a_2)w_2(a_1 - a_1^2)x",
    ],
    ("two-paths", 0, 2, "b"): [
        "2w_1(s_1 - y_1) + 2w_2(s_2 - y_2)",
        "ds_1 * w_1 + 2*(s_2-y_2)*w_2",
        "2*(w1*(s1-y1) + w2*(s2-y2))",
    ],
}  # fmt: skip

MADE = [
    (topic, seed, level)
    for topic in (
        "chain-rule", "chain-net", "two-paths", "linear-regression", "logistic-regression",
        "softmax", "two-layer-linear", "two-layer", "transpose", "bias", "activation-derivative",
    )
    for level, seed in ((2, 5), (3, 7))
]  # fmt: skip


def _sub(pattern, replacement, count=0):
    """A rewriter that replaces what matches; it makes nothing where nothing does."""

    def rewrite(text):
        new = re.sub(pattern, replacement, text, count=count)
        return None if new == text else new

    return rewrite


def _without_last_factor(text):
    """Without the last word, where it is a factor and nothing around it would be torn apart."""
    if not re.search(r" \w+$", text) or text.count("(") != text.count(")"):
        return None
    return re.sub(r"( \\cdot)? \w+$", "", text)


def _first_path(text):
    return text.split(" + ")[0] if " w_2" in text and text[0] == "2" and " + " in text else None


# rewriters that keep the value
SAME = (
    lambda t: rf"\frac{{\partial L}}{{\partial q}} = {t}",
    lambda t: f"$$ {t} $$",
    lambda t: rf"\frac{{1}}{{2}}\left({t} + {t}\right)",
    lambda t: f"-(-({t}))",
    plain,
    lambda t: rf"\left({t}\right) \cdot 3 - 2 \left({t}\right)",
    _sub(r"\^\\intercal", "^{T}"),
    _sub(r"\((\\hat\{\w\}|\w+) - (\w)\)", r"(-1)(\2 - \1)"),
    _sub(r"\\frac\{(\d)\}\{m\}", r"(\1/m)"),
    _sub(r"\\odot", r"\\circ"),
    _sub(r"\\(left|right)", ""),
)

# rewriters that change the value, nearly always
OTHER = (
    lambda t: rf"2 \cdot ({t})",
    lambda t: rf"\frac{{1}}{{2}}({t})",
    lambda t: f"-({t})",
    _sub(r"\\frac\{(\d)\}\{m\}", r"(\1)"),
    _sub(r"\((\S+) - ", r"(\1 + ", count=1),
    _sub(r"\\odot [AH] \\odot \(1 - [AH]\)", ""),
    _sub(r"\\odot \(1 - \S+ \\odot \S+\)", ""),
    _sub(r"\\odot \(1 - [AH]\)", ""),
    _sub(r" \\odot \[Z > 0\]", ""),
    _sub(r"(\d)(?=[a-z(])", r"\1 \\cdot \1 \\cdot ", count=1),
    _without_last_factor,
    _first_path,
)

# wrong ones by hand
WRONG = {
    ("linear-regression", 0, 1, "a"): [
        "2(ŷ - y)",
        "(ŷ - y)/m",
        "2/m (y - ŷ)",
        "2/m (ŷ - y)^2",
        "2/m ŷ",
        "0",
    ],
    ("linear-regression", 0, 1, "b"): [
        "2/m (ŷ - y) X^T - 0.001 v",
        "dy_hat @ X.T / m",
        "2/m y X^T",
        "dy_hat.sum() * X.sum(axis=1)",
        "X @ dy_hat.T",
        "np.mean(dy_hat * X, axis=1)",
        "v",
    ],
    ("linear-regression", 0, 1, "c"): [
        "dy_hat",
        "np.mean(dy_hat)",
        "sum(ŷ - y)",
        "2/m",
        "np.sum(y_hat - y)/m",
    ],
    ("two-layer", 1, 2, "c"): [
        "dy_hat @ v_2.T",
        "(dy_hat @ v_2.T) * A * (1 - A)",
        "(dy_hat @ v_2.T) * (1 - Z**2)",
        "(dy_hat @ v_2.T) * (1 - A)",
        "(dy_hat @ v_2.T) * (1 - A**2)**2",
        "(y_hat - y) @ v_2.T * (1 - A**2)",
    ],
    ("two-layer", 1, 2, "d"): ["dZ.T @ U", "U.T @ dZ / m", "U.T @ A", "U.T @ (dy_hat @ v_2.T)"],
    ("two-layer", 1, 2, "e"): ["dZ", "dZ.mean(axis=0)", "np.sum(dZ)", "np.sum(A, axis=0)"],
    ("softmax", 1, 2, "a"): ["P - Y", "P", "(Y - P)/m", "P*(1-P)/m", "-Y/P/m", "(P - Y)*P*(1-P)/m"],
    ("softmax", 1, 2, "b"): ["D.T @ P", "dZ.T @ D", "D.T @ dZ / m"],
    ("softmax", 1, 2, "c"): ["dZ", "dZ.mean(axis=0)", "dZ.sum()"],
    ("transpose", 1, 3, "b"): ["X.T @ G", "G.T @ G @ W"],
    ("bias", 0, 1, "a"): ["np.mean(G, axis=1)", "G", "G.sum()", "G.sum(0)"],
    ("activation-derivative", 1, 1, "a"): ["a", "1 - a", "a(1+a)", "1 - a^2", "a^2(1-a)"],
    ("chain-rule", 0, 2, "b"): [
        "h(1 - h)",
        "2x + 5",
        "h(2x+5)",
        "h(1-h)(2x)",
        r"\sigma(x)(1-\sigma(x))(2x+5)",
    ],
    ("chain-net", 1, 1, "c"): [
        "da_1 * x",
        "da_1 * a_1 * (1-a_1)",
        "da_1 * a_1 * x",
        "da_1*a_1*(1-a_1)*w_1",
    ],
    ("two-paths", 0, 2, "b"): [
        "2w_1(s_1 - y_1)",
        "ds_1 * w_1",
        "ds_1 + 2*(s_2 - y_2)",
        "ds_1*w_2 + 2*(s_2-y_2)*w_1",
    ],
}


@functools.cache
def made(topic, seed, level):
    """The exercise, made once."""
    return cr.exercise(topic, seed, level)


def right_answers():
    """(exercise, label, answer): equivalent rewritings of right answers, made and by hand."""
    for (topic, seed, level, label), answers in RIGHT.items():
        for answer in answers:
            yield made(topic, seed, level), label, answer
    yield from _rewritten(SAME)


def wrong_answers():
    """(exercise, label, answer): wrong answers, made and by hand."""
    for (topic, seed, level, label), answers in WRONG.items():
        for answer in answers:
            yield made(topic, seed, level), label, answer
    yield from _rewritten(OTHER)


def _rewritten(rewriters):
    for which, rewrite in itertools.product(MADE, rewriters):
        exercise = made(*which)
        for label, part in zip(exercise.problem.labels, exercise.problem.parts, strict=True):
            if isinstance(part, Formula):
                answer = rewrite(part.answer)
                if answer is not None:
                    yield exercise, label, answer


def slopes(network, of):
    """∂L/∂value at the first point by central differences of the loss: no rule is used."""
    cut = network.cut(of)
    root, inputs = cut.definition.root, cut.definition.inputs
    point = {n: np.array(a, float) for n, a in cut.points[0].items()}
    found = np.zeros(point[of].shape)
    for at in np.ndindex(*found.shape):
        start = float(point[of][at])
        both = []
        for step in (STEP, -STEP):
            point[of][at] = start + step
            both.append(float(values_at([root], inputs, [point])[0][0]))
        point[of][at] = start
        found[at] = (both[0] - both[1]) / (2 * STEP)
    return found.reshape(network.presented(of))
