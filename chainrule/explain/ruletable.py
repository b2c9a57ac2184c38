"""The rule table: scalar operations and matrix rules with their derivatives, as text and pages."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.emit.plain import plain
from chainrule.explain.matrixrules import UNCOVERED, MatrixRule, Uncovered, matrix_rules
from chainrule.explain.scalarrules import Partial, ScalarRule, scalar_rules

COLUMNS = 80
LEGEND = (
    "G = ∂L/∂Y (g = ∂L/∂y for a vector) is what a value receives from whatever loss L follows. "
    "1⃗ is a column of ones. ⊙ multiplies entry by entry, and fractions divide so. "
    "[a > b] is 1 where it holds, else 0."
)
CITED = "Equations and sections: Petersen & Pedersen 2012, The Matrix Cookbook"


@dataclass(frozen=True)
class RuleTable:
    """All rules. Made by `rule_table`.

    Attributes:
        scalars: a rule for each elementwise operation.
        matrices: matrix rules, each derived from a small network.
        uncovered: rules of the usual sheets that no operation computes.
        errors: by operation or rule, the largest error found when it was compared with an
            independent derivative; empty if that was not done.
    """

    scalars: tuple[ScalarRule, ...]
    matrices: tuple[MatrixRule, ...]
    uncovered: tuple[Uncovered, ...]
    errors: Mapping[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """Plain characters, at most 80 columns."""
        lines = ["Scalar operations", ""]
        for rule in self.scalars:
            lines += _block(rule.op.name, list(_scalar_lines(rule)))
        lines += ["", "Matrix rules", "", *textwrap.wrap(LEGEND, COLUMNS), ""]
        for matrix in self.matrices:
            lines += _block(matrix.statement.says, list(_matrix_lines(matrix)), apart=True)
        lines += ["", "Not derived here", ""]
        for rest in self.uncovered:
            shown = [plain(rest.value), plain(rest.derivative), f"({rest.why}; {rest.cite})"]
            lines += _block(rest.says, shown, apart=True)
        return "\n".join([*lines, "", f"{CITED}.", *self.checked()])

    def checked(self) -> Iterator[str]:
        """The sentence that says what comparisons found, if there were any."""
        if self.errors:
            worst = max(self.errors.values())
            yield (
                f"Every row was compared with an independent derivative: largest error {worst:.0e}."
            )

    def latex(self) -> str:
        """A fragment for a document that loads amsmath, amssymb, longtable and array."""
        from chainrule.explain.rulepages import latex

        return latex(self)

    def html(self) -> str:
        """One page that needs nothing else: no scripts, no fonts, no network."""
        from chainrule.explain.rulepages import html

        return html(self)

    def json(self) -> dict[str, Any]:
        """The rules as plain values; equations as LaTeX."""
        return {
            "scalars": [self._scalar(rule) for rule in self.scalars],
            "matrices": [self._matrix(rule) for rule in self.matrices],
            "uncovered": [vars(rule) for rule in self.uncovered],
        }

    def _scalar(self, rule: ScalarRule) -> dict[str, Any]:
        parts = [
            {"input": p.input, "of_input": p.of_input, "of_value": p.of_value}
            for p in rule.partials
        ]
        facts: dict[str, Any] = {"name": rule.op.name, "value": rule.value, "derivatives": parts}
        facts |= {"domain": rule.domain, "kinks": rule.kinks, "source": rule.op.source}
        return {**facts, "error": self.errors.get(rule.op.name)}

    def _matrix(self, rule: MatrixRule) -> dict[str, Any]:
        parts = [{"input": g.input, "tex": g.tex, "closed": g.closed} for g in rule.gradients]
        said = rule.statement
        facts: dict[str, Any] = {
            "key": said.key,
            "says": said.says,
            "net": said.net,
            "source": said.cite,
        }
        facts |= {"value": rule.value, "differential": rule.differential, "derivatives": parts}
        return {**facts, "error": self.errors.get(said.key)}

    def _repr_html_(self) -> str:
        return self.html()

    def __str__(self) -> str:
        return self.text()


def rule_table(errors: Mapping[str, float] | None = None) -> RuleTable:
    """The derivatives of scalar operations and of matrix expressions, worked out now.

    Scalar rules are read off the records; each matrix rule is a small network whose derivative is
    derived, so the table cannot disagree with what training runs.

    Args:
        errors: what comparisons of the rows with independent derivatives found, to be shown.

    >>> print(rule_table().text()[:17])
    Scalar operations
    """
    return RuleTable(tuple(scalar_rules()), tuple(matrix_rules()), UNCOVERED, errors or {})


def equals(partial: Partial) -> list[str]:
    """The derivative in every form that it has, as LaTeX."""
    return [text for text in (partial.of_input, partial.of_value) if text]


def facts(rule: ScalarRule) -> list[str]:
    """Where the value is a number, the slope at kinks, and why there is no derivative, in words."""
    said = [f"for {plain(rule.domain)}"] if rule.domain else []
    said += [rule.kinks] if rule.kinks else []
    return said + ([f"no derivative: {rule.op.no_gradient}"] if rule.op.no_gradient else [])


def received(rule: MatrixRule, name: str) -> str:
    r"""``\frac{\partial L}{\partial X}``, or ``\frac{\partial y}{\partial X}`` for a number."""
    upper = "L" if rule.definition.root is not rule.value_expr else rule.symbol
    return rf"\frac{{\partial {upper}}}{{\partial {name}}}"


def _scalar_lines(rule: ScalarRule) -> Iterator[str]:
    yield f"y = {plain(rule.value)}"
    for partial in rule.partials:
        yield f"{plain(partial.symbol)} = {' = '.join(plain(t) for t in equals(partial))}"
    said = facts(rule)
    if said:
        yield f"({'; '.join(said)})"


def _matrix_lines(rule: MatrixRule) -> Iterator[str]:
    yield f"{plain(rule.symbol)} = {plain(rule.value)}"
    if rule.differential:
        yield f"d{plain(rule.symbol)} = {plain(rule.differential)}"
    for gradient in rule.gradients:
        forms = [plain(text) for text in (gradient.tex, gradient.closed) if text]
        yield f"{plain(received(rule, gradient.input))} = {' = '.join(forms)}"


def _block(name: str, lines: list[str], *, apart: bool = False) -> list[str]:
    """Lines beside a name, or below it."""
    left = 4 if apart else 14
    wrap = textwrap.TextWrapper(COLUMNS - left, subsequent_indent="    ", break_long_words=False)
    shown = [part for line in lines for part in wrap.wrap(line)]
    if apart:
        return [name, *(" " * left + line for line in shown)]
    first = [f"{name:<{left}}{shown[0]}"]
    return first + [" " * left + line for line in shown[1:]]
