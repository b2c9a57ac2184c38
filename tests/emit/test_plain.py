"""Plain characters leave no doubt about what belongs to what."""

from __future__ import annotations

import pytest

from chainrule.emit.plain import plain, plain_indices

SLOPE = r"\frac{\partial\mathcal{L}}{\partial N}"


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (rf"{SLOPE}^\intercal", "(∂L/∂N)ᵀ"),
        (rf"H{SLOPE}^\intercal", "H(∂L/∂N)ᵀ"),
        (rf"\frac{{{SLOPE}}}{{s}}", "(∂L/∂N)/s"),
        (rf"\frac{{{SLOPE}}}{{2s}} + 1", "(∂L/∂N)/(2s) + 1"),
        (rf"{SLOPE}_{{o\,m}}", "(∂L/∂N)_(o m)"),
        (rf"{SLOPE}X", "∂L/∂N X"),
        (r"\log'(P)", "log'(P)"),
        (r"\frac{\partial \log(P)}{\partial P}", "∂log(P)/∂P"),
        (r"\frac{\partial ((y + (a)b)c)}{\partial P}", "∂((y + (a)b)c)/∂P"),
        (r"A\mathrm{d}X\,B + \mathrm{d}X^\intercal", "A dX B + dXᵀ"),
        (r"\frac{d}{s}X", "(d/s)X"),
    ],
)
def test_derivatives_keep_what_stands_beside_them_apart(latex, shown):
    assert plain(latex) == shown


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"w_{kj}\frac{\partial C}{\partial r_{ji}}", "wₖⱼ ∂C/∂rⱼᵢ"),
        (r"\frac{\partial C}{\partial a_{ji}}\left[z_{ji} > 0\right]", "∂C/∂aⱼᵢ [zⱼᵢ > 0]"),
        (r"n_{k} &= \frac{c_{k}}{s_{k}}", "nₖ = cₖ/sₖ"),
    ],
)
def test_derivatives_stand_apart_from_indices(latex, shown):
    assert plain_indices(latex) == shown
