"""Each of the twelve gradients, altered in one place, is found wrong; rewritten, it is not."""

import numpy as np
import pytest

import chainrule as cr
from tests.audit.cs230 import GRADIENTS, Gradient, notes, values

ALTERATIONS, REWRITINGS = 12, 10


def verdict(gradient: Gradient, text: str) -> str:
    """What an audit says of one gradient in notes that are otherwise right."""
    report = cr.audit(notes(gradient.model, **{gradient.by: text}), diagnose=False)
    left = rf"\frac{{\partial\mathcal{{L}}}}{{\partial {gradient.by}}}"
    found = [e for e in report.gradients if e.text.startswith(left)]
    others = [e.status for e in report.gradients if e not in found]
    assert set(others) <= {"correct"}, report
    return found[0].status


def same(gradient: Gradient, value: np.ndarray | None, seed: int) -> bool:
    right = gradient.right(values(gradient.model, seed)).value
    return value is not None and value.shape == right.shape and np.allclose(value, right)


@pytest.mark.seed("003-09", "003-12", "003-14", "003-16")
@pytest.mark.parametrize("gradient", GRADIENTS, ids=lambda g: g.name)
def test_every_alteration_in_one_place_is_found(gradient):
    forms = [gradient.altered(values(gradient.model, seed)) for seed in (0, 1)]
    for first, second in zip(*forms, strict=True):  # a second opinion: they are not the same
        assert not (same(gradient, first.value, 0) and same(gradient, second.value, 1)), first.tex
    texts = list(dict.fromkeys(form.tex for form in forms[0]))
    assert len(texts) == ALTERATIONS
    missed = [text for text in texts if verdict(gradient, text) != "wrong"]
    assert missed == []


@pytest.mark.parametrize("gradient", GRADIENTS, ids=lambda g: g.name)
def test_no_rewriting_is_called_wrong(gradient):
    forms = gradient.rewritten(values(gradient.model))
    assert all(same(gradient, form.value, 0) for form in forms)
    texts = list(dict.fromkeys([form.tex for form in forms]))
    assert len(texts) >= REWRITINGS
    alarms = {text: found for text in texts if (found := verdict(gradient, text)) != "correct"}
    assert alarms == {}
