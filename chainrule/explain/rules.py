"""The names of the rules, and the sentence that says why one applies.

Formulas are never written here: they come from the records. What is here are words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chainrule.emit.plain import plain
from chainrule.emit.tex import Tex, label
from chainrule.explain.network import Network, shape_axes
from chainrule.expr import Axes, Expr, postorder
from chainrule.ops import OPS

CHAIN, PATHS, LOSS = "chain rule", "sum of paths", "definition of the loss"
LINEAR, FACTOR = "linearity", "constant factor"
PRODUCT, CONTRACTION = "product rule", "contraction"
BROADCAST, ENTRYWISE = "broadcast → sum", "Hadamard product"
OUTPUT_FORM = "derivative in output form"
SUBSTITUTION, SIMPLIFICATION = "substitution", "simplification"
STILL = "no derivative"
SAME, ORDER = "found before", "rearrangement"

_FAMILIES: dict[str, tuple[str, str]] = {
    "add": (LINEAR, "A sum changes exactly as its terms do."),
    "sub": (LINEAR, "A difference changes as its first term, and against its second."),
    "neg": (LINEAR, "The negative changes by the negative."),
    "div": ("quotient rule", "The derivative of a quotient, written with the quotient itself."),
    "pow": ("power rule", "The derivative of a power."),
    "sum": ("sum → broadcast", "Every term of a sum receives what the sum receives."),
    "mean": ("mean → broadcast", "Every term of a mean receives its share of what that receives."),
    "transpose": ("transpose", "A transposition is undone by transposing back."),
    "expand": (BROADCAST, "What is repeated receives the sum over all its copies."),
    "where": ("branch taken", "Only the branch that was taken receives anything."),
    **dict.fromkeys(
        ("maximum", "minimum", "max", "min"),
        ("branch taken", "Only what was chosen receives anything; of equals, the first."),
    ),
    **dict.fromkeys(
        ("rename", "merge", "split", "slice", "pad", "concat", "gather", "scatter_add"),
        ("places", "Values only move here, so derivatives move back the same way."),
    ),
}


def math(tex: str) -> str:
    """A piece of mathematics inside a sentence."""
    return f"${tex}$"


def sentence_text(sentence: str) -> str:
    """A sentence for a terminal: its mathematics in plain characters."""
    parts = sentence.split("$")
    return "".join(primed(plain(p)) if i % 2 else p for i, p in enumerate(parts))


def primed(text: str) -> str:
    """Text whose primes are primes, and whose shapes stand close together."""
    return text.replace("'", "′").replace(" × ", "×").replace("{=}", "=")


class Words:
    """Sentences about one network."""

    def __init__(self, net: Network) -> None:
        self._net = net

    def value(self, node: Expr) -> str:
        """A value of the forward pass by name, or by what it is."""
        return math(self._tex(node).text)

    def _tex(self, node: Expr) -> Tex:
        return self._net.printer().tex(self._net.shown(node))

    def shape(self, axes: Axes) -> str:
        """The shape as a matrix has it, such as k×n."""
        return shape_tex(shape_axes(axes, self._net.orientation))

    def loss(self, x: Expr) -> tuple[str, str]:
        """The first line where nothing with a name stands between `x` and the loss."""
        return LOSS, f"{self.value(x)} stands in the definition of the loss itself."

    def chain(self, x: Expr, above: list[Expr]) -> tuple[str, str, str]:
        """Rule and reason of the chain rule, and the same said with functions."""
        own, c, t = self.value(x), self._net.letters, self._net.letters.variable
        direct = [v for v in above if v is self._net.root]
        values = [v for v in above if v is not self._net.root]
        named = listed([self.value(v) for v in values])
        if len(above) == 1:
            definition = math(self._net.printer().definition(self._net.shown(above[0])).text)
            why = f"{own} acts on the loss through {named} alone."
            functions = (
                f"{math(f'L = {c.whole}({t}) = {c.outer}({c.inner}({t}))')} with {math(f'{t} =')} "
                f"{own}, {math(f'{c.inner}({t}) =')} {definition} {math('=')} {named}, and "
                f"{math(c.outer)} everything from {named} to the loss."
            )
            return CHAIN, why, functions
        also = " and in the definition of the loss itself" if direct else ""
        why = f"{own} acts on the loss through {named}{also}: what comes by each path adds up."
        slots = [(i, v) for i, v in enumerate(above, 1)]
        applied = ", ".join(t if v is self._net.root else f"{c.inner}_{i}({t})" for i, v in slots)
        meaning = listed(
            [
                f"{math(f'{c.inner}_{i}')} is {self.value(v)}"
                for i, v in slots
                if v is not self._net.root
            ]
        )
        whole = math(f"L = {c.outer}({applied})")
        functions = f"{whole} with {math(f'{t} =')} {own}, where {meaning}."
        return PATHS, why, functions

    def entrywise(self, node: Expr) -> tuple[str, str]:
        """An operation on each entry by itself: a product entry by entry."""
        works = f"{math(_function(node))} works on each entry by itself"
        if not node.axes:
            return CHAIN, f"One step of the chain rule more, for {math(_function(node))}."
        return ENTRYWISE, f"{works}, so each entry is multiplied by the slope at that entry."

    def operation(
        self,
        node: Expr,
        moving: list[int],
        slope: Expr | None,
        part: Expr,
        upstream: Expr,
        *,
        more: bool,
    ) -> tuple[str, str]:
        """What one operation's record says its inputs receive; `more`: of others like it too."""
        if slope is not None:
            rule, why = self._derivative(node, part, upstream)
        elif node.op == "contract":
            rule, why = CONTRACTION, self._contraction(node, moving, upstream)
        elif node.op == "mul":
            rule, why = self._product(node, moving)
        elif node.op in _FAMILIES:
            return _FAMILIES[node.op]
        else:
            name = node.op.replace("_", " ")
            return f"derivative of {name}", f"From the table of operations ({OPS[node.op].source})."
        return rule, _likewise(why, more=more)

    def still(self, node: Expr) -> tuple[str, str]:
        """An operation through which nothing passes."""
        reason = OPS[node.op].no_gradient or "it does not move here"
        return STILL, f"Nothing passes through {node.op.replace('_', ' ')}: {reason}."

    def _derivative(self, node: Expr, part: Expr, upstream: Expr) -> tuple[str, str]:
        besides = set(postorder(part, known=[node, upstream]))
        source = f"({OPS[node.op].source})"
        if node in set(postorder(part)) and not besides.intersection(node.inputs):
            y = self.value(node)
            return OUTPUT_FORM, f"The value {y} that is stored already is enough {source}."
        known = f"From the table of operations {source}."
        return f"derivative of {node.op.replace('_', ' ')}", known

    def _product(self, node: Expr, moving: list[int]) -> tuple[str, str]:
        if len(moving) == 2:
            return PRODUCT, "Each factor in turn changes while the other stays."
        other = node.inputs[1 - moving[0]]
        if other.op in ("const", "size"):
            return FACTOR, f"The factor {self.value(other)} stays."
        x = node.inputs[moving[0]]
        return PRODUCT, f"The product changes with {self.value(x)} at the rate {self.value(other)}."

    def _contraction(self, node: Expr, moving: list[int], upstream: Expr) -> str:
        if len(moving) == 2:
            return "Each factor in turn changes while the other stays, and meets its transpose."
        x, other = node.inputs[moving[0]], node.inputs[1 - moving[0]]
        over = [a for a in node.axes if a in other.axes and a not in x.axes]
        facts = [f"{self.value(x)} is {math(self.shape(x.axes))}"]
        arrives = self._net.names.get(upstream)
        received = math(arrives) if arrives else "what arrives"
        facts.append(f"{received} is {math(self.shape(node.axes))}")
        facts.append(f"{self.value(other)} is {math(self.shape(other.axes))}")
        return f"{', '.join(facts)}: {self._only(x, node, other, over)}."

    def _only(self, x: Expr, node: Expr, other: Expr, over: list[str]) -> str:
        want = shape_axes(x.axes, self._net.orientation)
        if not over:
            return "no axis is left over, so nothing is summed"
        below = r"\,".join(map(label, over))
        runs = f"the sum runs over {math(below)}"
        if over == ["1"]:
            runs = "the axis in the middle has one entry"
        if len(over) > 1 or len(want) != 2:
            return runs
        left, right = (want[0], over[0]), (over[0], want[1])
        product = rf"({shape_tex(left)})({shape_tex(right)})"
        return f"only {math(product)} gives {math(shape_tex(want))}, and {runs}"

    def repeated(self, repeated: Expr, x: Expr, *, more: bool) -> tuple[str, str]:
        """What broadcasting repeated."""
        added = [math(label(a)) for a in repeated.axes if a not in x.axes and a != "1"]
        own = self.value(x)
        if not added:
            return BROADCAST, f"{own} is used once along an axis of one entry: nothing is added."
        why = f"{own} is used at every {listed(added)}, so it receives the sum."
        return BROADCAST, _likewise(why, more=more)

    def substitution(self, names: Sequence[str]) -> tuple[str, str]:
        """Derivatives that were found before are put in."""
        verb = "was" if len(names) == 1 else "were"
        return SUBSTITUTION, f"{listed([math(n) for n in names])} {verb} found above."


def _likewise(why: str, *, more: bool) -> str:
    return f"{why} The other paths likewise." if more else why


def _function(node: Expr) -> str:
    tex = OPS[node.op].tex
    assert isinstance(tex, str)
    return tex.removesuffix("{0:call}").format(**dict(node.attrs))


def listed(parts: Sequence[str]) -> str:
    """Words with commas and an "and"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def shape_tex(axes: Sequence[str], sizes: Mapping[str, int] | None = None) -> str:
    r"""k \times n; with sizes k \times n{=}784."""
    known = sizes or {}
    return r" \times ".join(
        f"{label(a)}{{=}}{known[a]}" if a in known and a != "1" else "1" if a == "1" else label(a)
        for a in axes
    )
