"""`chainrule ops --rules|--latex|--html`: the rule table, checked as it is made."""

import dataclasses
from pathlib import Path

import pytest

from chainrule.ops import OPS
from chainrule.ops.record import replaced


@pytest.mark.seed("003-18", "003-22")
def test_the_rules_are_shown_and_said_to_be_checked(cr):
    done = cr("ops", "--rules")
    assert done.code == 0
    assert "Every row was compared with an independent derivative" in done.out
    assert "∂L/∂X = Aᵀ GBᵀ" in done.out


def test_latex_and_html_go_into_a_file(cr):
    assert cr("ops", "--html", "-o", "rules.html").code == 0
    assert Path("rules.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert cr("ops", "--html", "-o", "rules.html").code == 2  # it is there already
    done = cr("ops", "--latex")
    assert done.out.count(r"\begin{longtable}") == 3


def test_json_holds_the_errors_found(cr):
    found = cr("ops", "--rules", "--json").json
    assert max(r["error"] for r in found["matrices"]) < 1e-6


def test_one_operation_as_latex(cr):
    out = cr("ops", "tanh", "--latex").out
    assert out.startswith("\\begin{align}\n\ty &= \\tanh(x)")


def test_a_wrong_record_ends_with_1_and_is_named(cr):
    right = OPS["tanh"]
    wrong = dataclasses.replace(right, vjp=lambda g, y, x: (g * (1 + y * y),))
    with replaced(wrong):
        done = cr("ops", "--rules")
    assert done.code == 1
    assert "tanh is WRONG" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rules", "--html"], "--rules and --html exclude each other"),
        (["tanh", "--html"], "--html shows all rules, not 'tanh' alone"),
        (["tahn", "--latex"], "Did you mean 'tanh'"),
    ],
)
def test_usage_mistakes_are_named(cr, arguments, says):
    done = cr("ops", *arguments)
    assert done.code == 2
    assert says in done.err
