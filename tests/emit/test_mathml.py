"""Equations as MathML: what the emitters print, nothing else, whatever the names are."""

import time

import pytest

from chainrule.derivation import derive
from chainrule.emit.equations import equations
from chainrule.emit.mathml import DEEPEST, mathml
from chainrule.errors import FormulaError
from tests.cli.conftest import ROOT
from tests.explain.test_ruletable import Balanced


def inside(line):
    return mathml(line).removeprefix("<math><mrow>").removesuffix("</mrow></math>")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("x", "<mi>x</mi>"),
        ("12.5", "<mn>12.5</mn>"),
        ("x_1", "<msub><mi>x</mi><mn>1</mn></msub>"),
        (r"A^\intercal", "<msup><mi>A</mi><mi>⊤</mi></msup>"),
        ("x_1^2", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
        (r"\hat{y}", "<mover"),
        (r"\mathcal{L}", "<mi>ℒ</mi>"),
        (r"a \odot b", "<mi>a</mi><mo>⊙</mo><mi>b</mi>"),
        ("-x", '<mo form="prefix">−</mo><mi>x</mi>'),
        ("a - x", "<mi>a</mi><mo>−</mo><mi>x</mi>"),
        (r"\text{a<b}", '<mi mathvariant="normal">a&lt;b</mi>'),
        (r"a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
    ],
)
def test_pieces(line, shown):
    assert inside(line).startswith(shown)


def test_fences_grow_only_around_what_is_tall():
    assert 'stretchy="true"' in mathml(r"\left(\frac{a}{b}\right)")
    assert 'stretchy="true"' not in mathml(r"\left(a, b\right)")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.net")), ids=lambda p: p.stem)
def test_both_passes_of_every_example_are_well_formed(path):
    found = equations(derive(path)._derived)
    for line in (*found.forward, *found.backward):
        reader = Balanced()
        reader.feed(mathml(line))
        assert not reader.open


@pytest.mark.parametrize(
    "line",
    [r"\input{/etc/passwd}", r"\frac{a}", "{", "}", r"\left(a", r"\begin{align}", r"\hat", "a_"],
)
def test_what_no_emitter_prints_is_refused(line):
    with pytest.raises(FormulaError):
        mathml(line)


def test_deep_and_long_texts_are_refused_at_once():
    start = time.perf_counter()
    with pytest.raises(FormulaError, match=f"deeper than {DEEPEST}"):
        mathml("{" * 100_000)
    with pytest.raises(FormulaError, match="deeper"):
        mathml(r"\frac" * 100_000)
    assert time.perf_counter() - start < 0.5
