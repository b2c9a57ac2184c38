"""`chainrule derive` with notations, layouts and the dictionary."""

import json
from pathlib import Path

import pytest

from chainrule.cli import main

ROOT = Path(__file__).parents[2]
NET = str(ROOT / "examples/cs230/two_sigmoid.net")
MLP = str(ROOT / "examples/mlp.net")
CHAIN = str(ROOT / "examples/chain.net")


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main(["derive", *arguments])
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return call


@pytest.mark.seed("001-14", "001-15")
def test_index_notation_comes_with_its_dictionary(run):
    code, out, _ = run(NET, "--notation", "index")
    assert code == 0
    assert "∂C/∂w⁽¹⁾ⱼₖ = Σᵢ ∂z⁽¹⁾ⱼᵢ/∂w⁽¹⁾ⱼₖ · ∂a⁽¹⁾ⱼᵢ/∂z⁽¹⁾ⱼᵢ · ∂C/∂a⁽¹⁾ⱼᵢ" in out
    assert "Dictionary" in out
    assert "W_1[j, k]  (k, n)" in out


def test_parts_come_with_the_proof_that_they_add_up(run):
    code, out, _ = run(MLP, "--notation", "outputs")
    assert code == 0
    assert "the parts add up to the gradient" in out
    assert "Split by what each logit receives" in out


def test_rows_and_columns(run):
    _, out, _ = run(NET, "--examples", "rows")
    assert "Z = XW₁ᵀ + b₁" in out
    assert "give its transpose" in out
    _, plain, _ = run(NET)
    assert run(NET, "--examples", "columns")[1] == plain
    assert "Dictionary" not in plain
    assert "Dictionary" in run(NET, "--dictionary")[1]


def test_code_follows_the_layout(run):
    _, out, _ = run(NET, "--examples", "rows", "--python")
    assert "X @ W_1.T" in out


@pytest.mark.parametrize("notation", ["matrix", "index", "outputs"])
def test_every_notation_as_latex_and_json(run, notation):
    _, out, _ = run(NET, "--notation", notation, "--latex", "--examples", "rows")
    assert out.count(r"\begin{align}") == 2
    assert r"\begin{array}" in out
    _, out, _ = run(NET, "--notation", notation, "--json")
    shown = json.loads(out)
    assert shown["notation"] == notation
    assert shown["dictionary"]["notation"] == notation


def test_mistakes_are_answered(run):
    code, _, err = run(CHAIN, "--examples", "rows")
    assert (code, "no input has axis 'm'" in err) == (2, True)
    code, _, err = run(NET, "--notation", "indices")
    assert code == 2
    assert "index" in err
    code, _, err = run(CHAIN, "--notation", "outputs")
    assert code == 2
    assert "no input has axis 'm': there are no examples to split the cost by" in err
