"""Error classes and the one template every message follows: where: what. hint.

Each class derives from `ChainruleError` and from the builtin that a user would catch. `exit_code`
is what the command line returns for it. The message says what is wrong, where, what was got, what
was expected and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any


class ChainruleError(Exception):
    """Base of every error that chainrule raises on purpose.

    Args:
        what: the fact: what was got and what was expected.
        where: the place (file and line, column name, layer, parameter), "" if the fact names it.
        hint: what to do about it, "" if the fact says it.

    Attributes:
        code: a stable name for the kind of error, e.g. ``"data"``.
        where, hint: as given.
        docs: the place in the documentation that explains this kind of error.

    >>> str(DataError('"n/a" is not a number', where="a.csv line 17", hint="Use na_values"))
    'a.csv line 17: "n/a" is not a number. Use na_values'
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.where = where
        self.hint = hint
        super().__init__((f"{where}: " if where else "") + what + (f". {hint}" if hint else ""))

    @property
    def code(self) -> str:
        """The kind of error in lower case, words joined by '-': DataError → 'data'."""
        return re.sub(
            r"(?<=[a-z])(?=[A-Z])", "-", type(self).__name__.removesuffix("Error")
        ).lower()

    @property
    def docs(self) -> str:
        """Where the documentation explains this kind of error."""
        return f"docs/errors.md#{self.code}"


class DataError(ChainruleError, ValueError):
    """A table, array or file of data cannot be used as it is."""

    exit_code = 3


class DataFileNotFoundError(ChainruleError, FileNotFoundError):
    """A data file that was named does not exist."""

    exit_code = 3


class TargetError(DataError):
    """The target column that was asked for is not in the table."""

    exit_code = 2


class ShapeError(ChainruleError, ValueError):
    """Axes or sizes do not fit each other.

    Attributes:
        mends: an input and the axes with which it would fit, where that is the likely mistake.
    """

    exit_code = 3
    mends: tuple[str, str] | None = None


class DTypeError(ChainruleError, TypeError):
    """Values are of a type that cannot be used."""

    exit_code = 3


class ComplexDataError(DTypeError, ValueError):
    """Complex numbers where real ones are needed; also a ValueError, as scikit-learn asks."""


class ParameterError(ChainruleError, ValueError):
    """An option has a value outside what it allows."""

    exit_code = 2


class GraphError(ChainruleError, ValueError):
    """A network is not a valid definition."""

    exit_code = 2


class FormulaError(ChainruleError, ValueError):
    """The text of a definition cannot be read. `where` holds line and column."""

    exit_code = 8


class GradientMismatch(ChainruleError, AssertionError):
    """A gradient differs from what an independent derivative says."""

    exit_code = 1


class DivergenceError(ChainruleError, FloatingPointError):
    """Training left the finite numbers.

    Attributes:
        run: the training after the last step with finite weights; None if there is none.
        report: the facts by themselves (see `chainrule.training.diverged`).
    """

    exit_code = 4
    run: Any = None
    report: Any = None


class CheckpointError(ChainruleError, OSError):
    """A saved run cannot be written or read."""

    exit_code = 5


class CorruptFileError(CheckpointError):
    """A saved run is damaged."""


class VersionError(CheckpointError):
    """A saved run was written by a version whose format this one does not know."""


class UnsafeFileError(ChainruleError, ValueError):
    """Opening the file could run code or read outside it, so it is refused."""

    exit_code = 8


class ResourceError(ChainruleError, MemoryError):
    """More memory, time or room would be needed than the limits allow."""

    exit_code = 6


class MissingExtraError(ChainruleError, ImportError):
    """An optional package is not installed; the message names the command that installs it."""

    exit_code = 2


class NotFittedError(ChainruleError, ValueError, AttributeError):
    """An estimator is used before `fit`."""

    exit_code = 2


class ChainruleWarning(UserWarning):
    """Base of every warning that chainrule gives."""


class BatchSizeWarning(ChainruleWarning):
    """A batch was to have more rows than there are, so it has all of them."""


class PrecisionWarning(ChainruleWarning):
    """A number cannot be stored exactly."""


class UnknownCategoryWarning(ChainruleWarning):
    """A category that was not seen in training was ignored as asked."""


class ManyLevelsWarning(ChainruleWarning):
    """A column of text has so many different texts that little can be learned from each."""


class DataConversionWarning(ChainruleWarning):
    """The target was brought into another shape."""


class ScaleWarning(ChainruleWarning):
    """Features are constant, or too far apart in scale to learn from together."""


class CheckpointWarning(ChainruleWarning):
    """Something about a saved run needs attention."""


def closest(name: str, known: Iterable[str]) -> str:
    """The known name nearest to `name`, or "" if none is near.

    >>> closest("sigmiod", ["sigmoid", "tanh"])
    'sigmoid'
    """
    pool = sorted(known)
    exact = [k for k in pool if k.lower() == name.lower()]
    return next(iter(exact or difflib.get_close_matches(name, pool, n=1, cutoff=0.6)), "")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """``"Did you mean 'sigmoid'?"`` or "" if nothing is near."""
    near = closest(str(name), known)
    return f"Did you mean {near!r}?" if near else ""
