"""Options that say how a file of data is written and what in it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from chainrule.cli.options import names

if TYPE_CHECKING:
    from chainrule.io.csvfile import CsvOptions

FILE = Group("How the file is written", sort_key=6)


@Parameter(name="*", group=FILE)
@dataclass(frozen=True)
class Reading:
    """How a file of separated values is written.

    Args:
        sep: The character between fields; found out if not given.
        decimal: The decimal mark.
        encoding: Of the text, such as utf-8, latin-1 or utf-16 (default: utf-8).
        na_values: Further texts that mean "missing", with commas between them.
        on_bad_rows: What rows with too many or too few fields get.
        max_line_bytes: Lines longer than this are refused (default: 16 MiB).
        max_expansion: How many times its size a compressed file may grow (default: 100).
    """

    sep: Annotated[str | None, Parameter(metavar="CHAR")] = None
    decimal: Literal[".", ","] = "."
    encoding: Annotated[str | None, Parameter(metavar="NAME")] = None
    na_values: Annotated[str | None, Parameter(metavar="TEXT,…")] = None
    on_bad_rows: Literal["error", "skip"] = "error"
    max_line_bytes: Annotated[int | None, Parameter(metavar="N")] = None
    max_expansion: Annotated[int | None, Parameter(metavar="N")] = None

    def csv(self) -> CsvOptions:
        """The options as `chainrule.io.load` takes them."""
        options: CsvOptions = {
            "sep": "\t" if self.sep == r"\t" else self.sep,
            "decimal": self.decimal,
            "na_values": names(self.na_values, "--na-values") or (),
            "on_bad_rows": self.on_bad_rows,
        }
        if self.encoding is not None:
            options["encoding"] = self.encoding
        if self.max_line_bytes is not None:
            options["max_line_bytes"] = self.max_line_bytes
        if self.max_expansion is not None:
            options["max_expansion"] = self.max_expansion
        return options


USUAL = Reading()
