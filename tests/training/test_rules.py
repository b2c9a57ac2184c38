"""Update rules against transcriptions of the papers in 50 digits, and what they show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp, mpf
from mpmath import sqrt as root

from chainrule.emit.python import source
from chainrule.errors import ParameterError
from chainrule.expr import input_
from chainrule.plan.program import program
from chainrule.run.keyed import normal
from chainrule.run.reference import Reference
from chainrule.training import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSprop
from chainrule.training.rules import RULES

STEPS = 1000
OPERATIONS = 20  # roundings in one step of the longest rule, with a margin
LR = 0.01


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


# Each transcription keeps its own state in `s` and returns the new parameter. Written from the
# sources named in the rules, one number at a time, and sharing nothing with them.


def sgd(w, g, s, t, eta):
    return w - eta * g


def heavy_ball(w, g, s, t, eta):
    s["v"] = mpf(0.9) * s.get("v", 0) - eta * g
    return w + s["v"]


def heavy_ball_pytorch(w, g, s, t, eta):
    s["buf"] = g if t == 1 else mpf(0.9) * s["buf"] + g
    return w - eta * s["buf"]


def ema(w, g, s, t, eta):
    s["v"] = mpf(0.9) * s.get("v", 0) + (1 - mpf(0.9)) * g
    return w - eta * s["v"]


def ema_corrected(w, g, s, t, eta):
    s["v"] = mpf(0.9) * s.get("v", 0) + (1 - mpf(0.9)) * g
    return w - eta * s["v"] / (1 - mpf(0.9) ** t)


def nesterov_lookahead(w, g, s, t, eta):
    """Sutskever's form on theta, read at the point looked ahead to: w = theta + mu v."""
    before = s.get("v", mpf(0))
    theta = w - mpf(0.9) * before
    s["v"] = mpf(0.9) * before - eta * g
    theta = theta + s["v"]
    return theta + mpf(0.9) * s["v"]


def nesterov_pytorch(w, g, s, t, eta):
    s["buf"] = g if t == 1 else mpf(0.9) * s["buf"] + g
    return w - eta * (g + mpf(0.9) * s["buf"])


def rmsprop(w, g, s, t, eta):
    s["s"] = mpf(0.9) * s.get("s", 0) + (1 - mpf(0.9)) * g**2
    return w - eta * g / (root(s["s"]) + mpf(1e-8))


def rmsprop_graves(w, g, s, t, eta):
    s["n"] = mpf(0.95) * s.get("n", 0) + (1 - mpf(0.95)) * g**2
    s["g"] = mpf(0.95) * s.get("g", 0) + (1 - mpf(0.95)) * g
    return w - eta * g / root(s["n"] - s["g"] ** 2 + mpf(1e-4))


def adagrad(w, g, s, t, eta):
    s["sum"] = s.get("sum", 0) + g**2
    return w - eta * g / (root(s["sum"]) + mpf(1e-10))


def adagrad_inside(w, g, s, t, eta):
    s["sum"] = s.get("sum", 0) + g**2
    return w - eta * g / root(s["sum"] + mpf(1e-6))


def moments(g, s):
    s["m"] = mpf(0.9) * s.get("m", 0) + (1 - mpf(0.9)) * g
    s["v"] = mpf(0.999) * s.get("v", 0) + (1 - mpf(0.999)) * g**2
    return s["m"], s["v"]


def adam(w, g, s, t, eta):
    m, v = moments(g, s)
    m_hat, v_hat = m / (1 - mpf(0.9) ** t), v / (1 - mpf(0.999) ** t)
    return w - eta * m_hat / (root(v_hat) + mpf(1e-8))


def adam_inside(w, g, s, t, eta):
    m, v = moments(g, s)
    return w - eta * (m / (1 - mpf(0.9) ** t)) / root(v / (1 - mpf(0.999) ** t) + mpf(1e-8))


def adam_hat(w, g, s, t, eta):
    m, v = moments(g, s)
    rate = eta * root(1 - mpf(0.999) ** t) / (1 - mpf(0.9) ** t)
    return w - rate * m / (root(v) + mpf(1e-8))


def adam_uncorrected(w, g, s, t, eta):
    m, v = moments(g, s)
    return w - eta * m / (root(v) + mpf(1e-8))


def adamw_pytorch(w, g, s, t, eta):
    return adam(w * (1 - eta * mpf(0.1)), g, s, t, eta)


def adamw_paper(w, g, s, t, eta):
    schedule = eta / mpf(LR)
    return adam(w, g, s, t, eta) - schedule * mpf(0.1) * w


TRANSCRIPTIONS = {
    "sgd": (SGD(LR), sgd),
    "momentum": (SGD(LR, momentum=0.9), heavy_ball),
    "momentum, PyTorch": (Momentum(LR, 0.9, dialect="pytorch"), heavy_ball_pytorch),
    "EMA momentum": (Momentum(LR, 0.9, ema=True), ema),
    "EMA momentum, corrected": (Momentum(LR, 0.9, ema=True, bias_correction=True), ema_corrected),
    "nesterov": (SGD(LR, momentum=0.9, nesterov=True), nesterov_lookahead),
    "nesterov, PyTorch": (Nesterov(LR, 0.9, dialect="pytorch"), nesterov_pytorch),
    "rmsprop": (RMSprop(LR), rmsprop),
    "rmsprop, Graves": (
        RMSprop(LR, rho=0.95, eps=1e-4, eps_at="inside", centered=True),
        rmsprop_graves,
    ),
    "adagrad": (Adagrad(LR), adagrad),
    "adagrad, inside": (Adagrad(LR, eps=1e-6, eps_at="inside"), adagrad_inside),
    "adam": (Adam(LR), adam),
    "adam, inside": (Adam(LR, eps_at="inside"), adam_inside),
    "adam, hat": (Adam(LR, eps_at="hat"), adam_hat),
    "adam, no correction": (Adam(LR, bias_correction=False), adam_uncorrected),
    "adam, no correction, hat": (
        Adam(LR, bias_correction=False, eps_at="hat"),
        adam_uncorrected,
    ),
    "adamw": (AdamW(LR, weight_decay=0.1), adamw_pytorch),
    "adamw, paper": (AdamW(LR, weight_decay=0.1, decay="paper"), adamw_paper),
}
# The loss of momentum and EMA dialects differ only when the rate changes, so it does.
RATES = [LR * (1.0 if t < STEPS // 2 else 0.25) for t in range(STEPS)]


def compiled(optimizer, axes="k"):
    """One step as a function of arrays: the program that a training would contain."""
    w, g, t, eta = (input_(n, a) for n, a in (("w", axes), ("g", axes), ("t", ""), ("eta", "")))
    state = {name: input_(name, axes) for name in optimizer.state}
    lines = optimizer.step(w, g, state, t, eta)
    outputs = {"": lines["w"], **{name: lines[name] for name in state}}
    return Reference(program("step", (w, g, *state.values(), t, eta), outputs, {}))


def trajectory(optimizer, start, gradients, rates, dtype):
    step = compiled(optimizer)
    w = np.array(start, dtype)
    state = {name: np.zeros_like(w) for name in optimizer.state}
    for t, (g, eta) in enumerate(zip(gradients, rates, strict=True), 1):
        arrays = {"w": w, "g": g.astype(dtype), **state, "t": float(t), "eta": eta}
        w, state = step.run(arrays)
    return w


@pytest.mark.seed("003-20")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", TRANSCRIPTIONS)
def test_a_rule_follows_its_source_for_1000_steps(name, dtype):
    optimizer, transcription = TRANSCRIPTIONS[name]
    start = np.array([1.0, -2.0, 0.5])
    scale = np.array([1.0, 1e-2, 10.0])
    gradients = (normal(7, "check", 0, (STEPS, 3)) * scale + 0.3 * scale).astype(np.float32)
    ours = trajectory(optimizer, start, gradients, RATES, dtype)
    for i, w0 in enumerate(start):
        w, state, moved = mpf(w0), {}, mpf(0)
        for t, (g, eta) in enumerate(zip(gradients[:, i].tolist(), RATES, strict=True), 1):
            new = transcription(w, mpf(g), state, t, mpf(eta))
            moved, w = moved + abs(new - w), new
        # every step rounds w once and each of its own operations; state carries its errors along,
        # at most as many steps as there are: |error| ≤ γ (|w| + Σ|Δw|), γ = n k u
        unit = np.finfo(dtype).eps / 2
        bound = STEPS * OPERATIONS * unit * (abs(w0) + moved)
        assert abs(mpf(float(ours[i])) - w) <= bound


def test_the_bound_tells_every_dialect_from_the_others():
    """A wrong reading must not hide within the tolerance: each pair differs by far more."""
    gradients = normal(7, "check", 0, (STEPS, 1)) + 0.3
    ends = {
        name: trajectory(optimizer, [1.0], gradients, RATES, np.float64)[0]
        for name, (optimizer, _) in TRANSCRIPTIONS.items()
        if name != "adam, no correction, hat"  # the same as without correction, by definition
    }
    bound = STEPS * OPERATIONS * np.finfo(np.float64).eps
    values = sorted(ends.values())
    assert min(np.diff(values)) > 5 * bound


QUADRATIC = np.array([1.0, 10.0])


def quadratic_loss(w):
    return 0.5 * float((QUADRATIC * w * w).sum())


def printed_correction(w, m, v, g, t, lr):
    """What the demonstration page linked from CS230 prints: (1 − β)^t for 1 − β^t."""
    m_hat, v_hat = m / (1 - 0.9) ** t, v / (1 - 0.999) ** t
    return w - lr * m_hat / (np.sqrt(v_hat) + 1e-8)


def printed_update(w, m, v, g, t, lr):
    """The update that the page prints below: the gradient itself, nothing corrected."""
    return w - lr * g / (np.sqrt(v) + 1e-8)


@pytest.mark.parametrize("printed", [printed_correction, printed_update])
def test_adam_is_not_what_the_demonstration_page_prints(printed):
    """Both misprints end at other losses than algorithm 1; ours ends where algorithm 1 does."""
    lr, steps = 0.1, 100
    step = compiled(Adam(lr))
    w, state = np.array([2.0, -1.5]), {"m": np.zeros(2), "v": np.zeros(2)}
    wrong, m, v = w.copy(), np.zeros(2), np.zeros(2)
    exact = [mpf(2.0), mpf(-1.5)]
    kept = [{}, {}]
    for t in range(1, steps + 1):
        w, state = step.run({"w": w, "g": QUADRATIC * w, **state, "t": float(t), "eta": lr})
        g = QUADRATIC * wrong
        m, v = 0.9 * m + (1 - 0.9) * g, 0.999 * v + (1 - 0.999) * g * g
        wrong = printed(wrong, m, v, g, t, lr)
        for i in range(2):
            exact[i] = adam(exact[i], mpf(QUADRATIC[i]) * exact[i], kept[i], t, mpf(lr))
    right = quadratic_loss(np.array([float(x) for x in exact]))
    assert quadratic_loss(w) == pytest.approx(right, rel=1e-6)
    assert not 0.1 * right < quadratic_loss(wrong) < 10 * right


def test_adam_is_accurate_in_float32_from_the_first_step():
    """1 − 0.999^t in float32 would be wrong in the fifth digit; the scalars stay double."""
    step = compiled(Adam(1.0, eps=1e-30))
    zero = np.zeros(1, np.float32)
    arrays = {"w": zero, "g": np.ones(1, np.float32), "m": zero, "v": zero, "t": 1.0, "eta": 1.0}
    w, _ = step.run(arrays)
    assert w.dtype == np.float32
    assert abs(float(w[0]) + 1) <= 4 * np.finfo(np.float32).eps


def test_centred_rmsprop_never_takes_the_root_of_a_negative_variance():
    step = compiled(RMSprop(0.1, centered=True))
    w, state = np.ones(1), {"s": np.zeros(1), "g_bar": np.zeros(1)}
    for t in range(1, 2000):  # a constant gradient: the variance is 0 up to rounding
        w, state = step.run({"w": w, "g": np.full(1, 0.1), **state, "t": float(t), "eta": 1e-9})
    assert np.isfinite(w).all()


@pytest.mark.parametrize("name", RULES)
def test_a_rule_shows_its_equations_and_its_code(name):
    optimizer = Optimizer(name)
    shown = optimizer.latex()
    assert shown.count(r"\leftarrow") == 1 + len(optimizer.state)
    assert RULES[name].formula.split(r" \\ ")[-1].startswith(r"w \leftarrow")
    assert f"def {name}(w, g, " in optimizer.python()
    assert RULES[name].source
    assert r"\begin{aligned}" in optimizer._repr_latex_()


def test_the_code_that_is_shown_is_the_rule_that_runs():
    namespace = {}
    shown = Adam(0.1).python()
    exec(shown, namespace)
    w, g, m, v = 0.5, -0.25, 0.125, 0.75
    w_new, state = namespace["adam"](w, g, m, v, 3.0, 0.1, 0.9, 0.999, 1e-8)
    ours, kept = compiled(Adam(0.1), "").run(
        {n: np.array(x) for n, x in (("w", w), ("g", g), ("m", m), ("v", v))}
        | {"t": 3.0, "eta": 0.1}
    )
    assert (w_new, state["m"], state["v"]) == (ours, kept["m"], kept["v"])


@pytest.mark.seed("000-08")
def test_gradient_descent_prints_as_the_lecture_states_it():
    assert RULES["sgd"].formula == r"w \leftarrow w - \eta g"


def test_adam_prints_algorithm_1():
    assert RULES["adam"].formula.split(r" \\ ") == [
        r"m \leftarrow \beta_1 m + (1 - \beta_1)g",
        r"v \leftarrow \beta_2 v + (1 - \beta_2)g^2",
        r"\hat{m} = \frac{m}{1 - \beta_1^{t}}",
        r"\hat{v} = \frac{v}{1 - \beta_2^{t}}",
        r"w \leftarrow w - \eta\frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon}",
    ]


def test_options_come_from_text_and_go_back():
    text = "rmsprop:lr=0.1,rho=0.95,centered=on"
    optimizer = Optimizer.of(text)
    assert optimizer == RMSprop(0.1, rho=0.95, centered=True)
    assert Optimizer.of(str(optimizer)) == optimizer
    assert Optimizer.of("adam") == Adam()
    assert optimizer.lr == 0.1


def test_all_wrong_options_are_named_at_once():
    with pytest.raises(ParameterError) as error:
        SGD(math.nan, momentum=1.5)
    assert "lr must be > 0 and finite, got nan" in str(error.value)
    assert "momentum must be in [0, 1) and finite, got 1.5" in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: SGD(-1), "lr must be > 0"),
        (lambda: SGD(0.1, nesterov=True), "nesterov needs a momentum"),
        (lambda: Momentum(0.1, bias_correction=True), "bias_correction needs ema=True"),
        (lambda: Adam(beta2=1.0), "beta2 must be in [0, 1)"),
        (lambda: Adam(eps=0), "eps must be > 0"),
        (lambda: AdamW(weight_decay=-1), "weight_decay must be >= 0"),
        (lambda: Adam(eps_at="below"), "eps_at must be one of outside, inside, hat"),
        (lambda: Optimizer("adma"), "Did you mean 'adam'?"),
        (lambda: Optimizer("sgd", rate=1), "has no option 'rate'"),
    ],
)
def test_a_wrong_option_is_refused(wrong, says):
    with pytest.raises(ParameterError) as error:
        wrong()
    assert says in str(error.value)


def test_a_step_is_one_readable_function():
    text = source(compiled(SGD(0.1, momentum=0.9)).program)
    assert "0.9 * v - eta * g" in text
