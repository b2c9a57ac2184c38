"""The equations that come out are, token for token, those that the source documents print."""

import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
DOCUMENT = HERE.parents[2] / "shared/seeds/003_8698ff9f6a18090f.txt"


def expected_lines() -> dict[str, list[str]]:
    """The lines of each model, as the golden file has them."""
    models: dict[str, list[str]] = {}
    for line in (HERE / "cs230.tex").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            models[line.strip("[]")] = []
        elif not line.startswith("%"):
            models[next(reversed(models))].append(line)
    return models


def tokens(text: str) -> list[str]:
    """What TeX reads: control words, control symbols and characters, without blanks and marks."""
    return [t for t in re.findall(r"\\[A-Za-z]+|\\.|\S", text) if t not in ("&", r"\\")]


def printed_lines(latex: str) -> list[str]:
    lines = [line.strip().removesuffix(r"\\") for line in latex.splitlines()]
    return [line for line in lines if "&=" in line]


def assert_same_tokens(printed: list[str], expected: list[str]) -> None:
    assert [tokens(line) for line in printed] == [tokens(line) for line in expected]


MODELS = expected_lines()


@pytest.mark.seed(
    "003-01",
    "003-08",
    "003-09",
    "003-11",
    "003-12",
    "003-13",
    "003-14",
    "003-15",
    "003-16",
    "003-17",
)
@pytest.mark.parametrize("model", MODELS)
def test_the_equations_of_cs230_come_out_as_the_document_prints_them(model):
    d = cr.derive(EXAMPLES / f"cs230/{model}.net")
    assert_same_tokens(printed_lines(d.latex()), MODELS[model])


@pytest.mark.parametrize("model", MODELS)
def test_each_gradient_can_be_asked_for_alone(model):
    d = cr.derive(EXAMPLES / f"cs230/{model}.net")
    backward = [line for line in MODELS[model] if line.startswith(r"\frac{\partial")]
    assert_same_tokens([d.latex(only=name) for name in d.wrt], backward)


def test_there_are_four_models_and_twelve_gradients():
    gradients = [
        line for lines in MODELS.values() for line in lines if line.startswith(r"\frac{\partial")
    ]
    assert (len(MODELS), len(gradients)) == (4, 12)


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the source document is not beside this checkout")
def test_the_golden_file_has_the_lines_of_the_document():
    text = DOCUMENT.read_text(encoding="utf-8").replace("\\\\\\\\", "\\\\")
    blocks = re.findall(r"\\begin\{align\}(.*?)\\end\{align\}", text, re.S)
    lines = [line for block in blocks for line in block.strip().split("\\\\\n")]
    assert_same_tokens(lines, [line for model in MODELS.values() for line in model])


@pytest.mark.seed("000-16", "000-18", "000-19", "000-20", "000-21", "000-15")
def test_the_recurrences_of_the_scalar_chain_come_out_as_the_lecture_states_them():
    d = cr.derive(EXAMPLES / "chain.net")
    expected = (HERE / "chain.tex").read_text(encoding="utf-8").splitlines()[1:]
    backward = d.latex(notation="chain").split("Backward Propagation")[1]
    assert_same_tokens(printed_lines(backward)[: len(expected)], expected)


@pytest.mark.seed("000-23", "003-10")
@pytest.mark.parametrize("model", MODELS)
def test_the_python_shown_runs_and_agrees_with_the_engine_and_the_check(model):
    d = cr.derive(EXAMPLES / f"cs230/{model}.net")
    rng = np.random.default_rng(7)
    sizes = {"k": 3, "n": 4, "m": 6, "1": 1}
    arrays = {x.name: rng.normal(size=[sizes[a] for a in x.axes]) for x in d.definition.inputs}
    namespace: dict[str, object] = {}
    exec(compile(d.python(), model, "exec"), namespace)
    shown = namespace[d.definition.name](*arrays.values())
    value, gradients = d(**arrays)
    assert abs(shown[0] - value) <= 1e-12
    for name, gradient in gradients.items():
        np.testing.assert_allclose(shown[1][name], gradient, rtol=0, atol=1e-12)
    report = d.check(arrays=arrays)
    assert report.ok
    assert report.worst.error <= 1e-12


def test_a_matrix_network_is_refused_in_chain_notation():
    d = cr.derive(EXAMPLES / "cs230/two_sigmoid.net")
    with pytest.raises(cr.ChainruleError, match="is not a number"):
        d.latex(notation="chain")


@pytest.mark.parametrize("name", ["html", "latex"])
def test_a_notebook_gets_both_passes(name):
    shown = getattr(cr.derive(EXAMPLES / "cs230/two_sigmoid.net"), f"_repr_{name}_")()
    assert shown.count("begin{aligned}") == 2
    assert r"\odot A \odot (1 - A)" in shown
