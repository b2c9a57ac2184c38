"""`chainrule derive`: both passes of a network as equations or code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from chainrule.cli.options import Json, Output, Overwrite, Seed, names, network_file, refuse_loss
from chainrule.errors import ParameterError

if TYPE_CHECKING:
    from chainrule.derivation import Derivation
    from chainrule.explain.steps import Steps
    from chainrule.explain.verify import StepsReport

EXPLAINED = ("index", "outputs")
"""Notations whose symbols are not the names in the file."""


Only = Annotated[
    str | None,
    Parameter(metavar="W_1,b_1", help="With --steps: these derivatives and what leads to them."),
]
Spelling = Annotated[
    Literal["both", "function", "leibniz"],
    Parameter(
        help="With --steps: the chain rule as function h′(x) = g′(f(x)) f′(x), as leibniz "
        "dz/dx = dz/dy · dy/dx, or both."
    ),
]
Notation = Annotated[
    Literal["matrix", "index", "chain", "outputs"],
    Parameter(
        help="matrix as in CS230; index: a_j and w_jk of numbered layers, sums written out; "
        "chain: networks of single numbers as recurrences; outputs: parts for each example and "
        "each output."
    ),
]
Layout = Annotated[
    Literal["columns", "rows"] | None,
    Parameter(help="Lay the examples out as columns or as rows, all equations with them."),
]


def derive(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    wrt: Annotated[str | None, Parameter(metavar="W_1,b_1")] = None,
    latex: bool = False,
    python: bool = False,
    text: bool = False,
    json: Json = False,
    notation: Notation = "matrix",
    examples: Layout = None,
    dictionary: bool = False,
    read_back: bool = False,
    steps: bool = False,
    only: Only = None,
    spelling: Spelling = "both",
    seed: Seed = 0,
    output: Output = None,
    overwrite: Overwrite = False,
) -> int:
    """Show the equations or the code of both passes of a network.

    Every derivative is worked out from the definition in the file, nothing in which is ever
    executed. Without --latex, --python or --json the equations come in plain characters.

        chainrule derive examples/cs230/two_sigmoid.net
        chainrule derive examples/chain.net --notation chain --latex
        chainrule derive examples/cs230/two_sigmoid.net --notation index
        chainrule derive examples/cs230/two_sigmoid.net --examples rows
        chainrule derive examples/cs230/two_sigmoid.net --steps --only W_1

    With --steps every line is evaluated at a random point and compared with the one before; exit
    code 1 if two differ.

    Args:
        file: The network, FILE.net: one line for each parameter, input and value.
        wrt: Derive with respect to these names only; all parameters if not given.
        latex: Equations as LaTeX (two align environments).
        python: The NumPy function that computes loss and gradients.
        text: Equations in plain characters (what is shown anyway).
        steps: The derivation line by line, each with its rule and the shape of every factor.
        dictionary: Say what each symbol is in the other notations and in the code. Said anyway
            where --notation is index or outputs, and where --examples turns the network round.
        read_back: Read the matrix equations back, from LaTeX and from plain characters, evaluate
            them at random arrays and compare them with the code. Exit code 1 if they differ.
    """
    from chainrule.derivation import derive as derivation

    form = _one_of({"--latex": latex, "--python": python, "--text": text, "--json": json})
    _refuse_without_steps(steps, only, spelling, seed)
    _refuse_in_code(form, notation, dictionary)
    refuse_loss(output, [file], overwrite=overwrite)
    d = derivation(network_file(file, ".net"), names(wrt, "--wrt"))
    if read_back:
        _refuse_layouts(steps, notation, examples)
    if steps:
        _refuse_with_steps(form, notation, examples, dictionary)
        return _show_steps(d.steps(names(only, "--only"), spelling), seed, form, output)
    _show_equations(d, notation, examples, dictionary, form, output)
    return _compared(d) if read_back else 0


def _one_of(chosen: dict[str, bool]) -> str:
    """The one option that is on, "" if none is."""
    given = [option for option, on in chosen.items() if on]
    if len(given) > 1:
        raise ParameterError(f"{' and '.join(given)} exclude each other", hint="Choose one")
    return given[0] if given else ""


def _refuse_without_steps(steps: bool, only: str | None, spelling: str, seed: int) -> None:
    """Raise a ParameterError for options that need --steps."""
    if not steps and only is not None:
        raise ParameterError("--only goes with --steps", hint="Use --wrt, or say --steps")
    if not steps and spelling != "both":
        raise ParameterError("--spelling goes with --steps", hint="Say --steps")
    if not steps and seed:
        raise ParameterError("--seed goes with --steps", hint="Say --steps")


def _refuse_in_code(form: str, notation: str, dictionary: bool) -> None:
    """Raise a ParameterError for options that say how equations are written, with --python."""
    if form == "--python" and (notation != "matrix" or dictionary):
        option = "--dictionary" if dictionary else "--notation"
        raise ParameterError(f"--python and {option} exclude each other", hint="Choose one")


def _refuse_with_steps(form: str, notation: str, examples: str | None, dictionary: bool) -> None:
    """Raise a ParameterError for options that --steps cannot follow."""
    if form == "--python":
        raise ParameterError("--steps and --python exclude each other", hint="Choose one")
    if notation != "matrix":
        raise ParameterError(f"--steps has no notation {notation!r}", hint="Leave --notation out")
    for option, given in {"--examples": examples is not None, "--dictionary": dictionary}.items():
        if given:
            raise ParameterError(f"--steps and {option} exclude each other", hint="Choose one")


def _refuse_layouts(steps: bool, notation: str, examples: str | None) -> None:
    """Raise a ParameterError for equations that cannot be read back."""
    if steps:
        raise ParameterError("--steps and --read-back exclude each other", hint="Choose one")
    if notation != "matrix" or examples:
        what = "--read-back is for the matrix equations in the layout of the file"
        raise ParameterError(what, hint="Leave --notation and --examples out")


def _compared(d: Derivation) -> int:
    """Say whether the printed equations are what the code computes; the exit code."""
    from chainrule.cli.output import note

    report = d.round_trip()
    note(str(report))
    return 0 if report.ok else 1


def _show_equations(
    d: Derivation,
    notation: str,
    examples: str | None,
    dictionary: bool,
    form: str,
    output: Path | None,
) -> None:
    """Both passes in the form that was asked for."""
    from chainrule.cli.output import json_text, write

    if form == "--json":
        write(json_text(d.json(notation, examples)), output)
        return
    if form == "--python":
        write(d.python(examples).rstrip(), output)
        return
    latex = form == "--latex"
    parts = [d.latex(None, notation, examples) if latex else d.text(notation, examples)]
    if dictionary or notation in EXPLAINED or d.turns(examples):
        explained = d.dictionary(notation, examples)
        parts.append(explained.latex() if latex else explained.text())
    write("\n\n".join(parts), output)


def _show_steps(steps: Steps, seed: int, form: str, output: Path | None) -> int:
    """The lines, and what came out when each was evaluated; the exit code."""
    from chainrule.cli.output import columns, json_text, note, write

    report = steps.check(seed)
    if form == "--json":
        write(json_text({**steps.json(), "check": report.json()}), output)
    elif form == "--latex":
        write(steps.latex(), output)
        note(str(report))
    else:
        write(f"{steps.text(columns())}\n\n{_sentence(report)}", output)
    return 0 if report.ok else 1


def _sentence(report: StepsReport) -> str:
    text = str(report)
    return text[:1].upper() + text[1:]
