"""One reading of a formula, evaluated at the points and compared with the true derivative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chainrule.errors import ChainruleError
from chainrule.exercises.diagnosis import Finding, close, searched, simple
from chainrule.exercises.network import Network
from chainrule.exercises.reading import Reading
from chainrule.run.bind import Array


class Attempt:
    """One reading of a formula at the points.

    Attributes:
        values: of the formula; None if it has none.
        true: the right ones.
        error: why it has no value.
    """

    def __init__(self, network: Network, of: str, earlier: Sequence[str], reading: Reading) -> None:
        self.network, self.of, self.earlier, self.reading = network, of, earlier, reading
        self.error: ChainruleError | None = None
        self.values: list[Array] | None = None
        self.names: set[str] = set()
        try:
            shape = network.presented(of)
            everywhere = [network.names_at(i, earlier) for i in range(len(network.points))]
            self.values = [reading.value(names, shape) for names in everywhere]
            self.names = set(everywhere[0])
        except ChainruleError as error:
            self.error = error
        self.true = network.true(of)
        self.right = self.values is not None and all(
            close(v, t) for v, t in zip(self.values, self.true, strict=True)
        )

    def at(self, network: Network, arrays: Mapping[str, Array]) -> Array:
        """The value of the formula, from arrays of the inputs of a network."""
        own = {o: network.truth(o, arrays) for o in self.earlier}
        return self.reading.value(network.names(arrays, own), network.presented(self.of))

    def finding(self) -> Finding | None:
        """The mistake, if it is one that has a name."""
        assert self.values is not None
        found = simple(self.network.called(self.of), self.values, self.true)
        return found or searched(self.network, self.of, self.at)

    def evidence(self) -> str:
        """Shapes, if these differ."""
        assert self.values is not None
        yours, true = self.values[0].shape, self.true[0].shape
        if yours == true:
            return ""
        both = (" × ".join(map(str, s)) or "a number" for s in (yours, true))
        return ": it is {}, with the sizes used here, and should be {}".format(*both)
