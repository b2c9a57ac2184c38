"""The command line: `chainrule COMMAND …`, the same as `python -m chainrule`."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

from chainrule.cli.output import close, complain, complain_json, complain_warning, prepare
from chainrule.errors import ChainruleError, ChainruleWarning, ParameterError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
DEBUG = "--debug"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code (docs/errors.md lists them).

    Args:
        arguments: what follows `chainrule`; None for those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug, given = _without_debug(given)
    prepare()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = complain_warning
            warnings.simplefilter("always", ChainruleWarning)
            code = _run(given)
        return close(code)
    except BrokenPipeError:  # the reader, such as `head`, had enough
        return close(OK)
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, users get one message
        if debug:
            traceback.print_exc()
        return _failed(error, json="--json" in given)


def _run(given: list[str]) -> int:
    from cyclopts import CycloptsError

    from chainrule.cli.app import app

    try:
        return int(app()(given, exit_on_error=False, print_error=False) or OK)
    except CycloptsError as error:
        command = " ".join(["chainrule", *(error.command_chain or ())])
        raise ParameterError(f"{str(error).strip()} `{command} --help` says more") from error


def _failed(error: Exception, *, json: bool) -> int:
    """Say what went wrong in one message; returns the exit code."""
    if not isinstance(error, ChainruleError):
        if isinstance(error, MemoryError):
            from chainrule.errors import ResourceError

            return _failed(ResourceError(f"not enough memory: {error}".rstrip(": ")), json=json)
        if isinstance(error, OSError):
            return _failed(_storage(error), json=json)
        complain(
            f"{type(error).__name__}: {error}. This is a defect in chainrule: {DEBUG} shows where"
        )
        return FAILED
    complain(str(error))
    if json:
        complain_json(error)
    return close(error.exit_code)


def _storage(error: OSError) -> ChainruleError:
    from chainrule.errors import CheckpointError

    place = str(error.filename) if error.filename is not None else ""
    return CheckpointError(error.strerror or str(error), where=place)


def _without_debug(given: list[str]) -> tuple[bool, list[str]]:
    """Whether `--debug` is given anywhere before `--`, and the arguments without it."""
    end = given.index("--") if "--" in given else len(given)
    rest = [word for i, word in enumerate(given) if word != DEBUG or i >= end]
    return len(rest) < len(given), rest


def entry() -> NoReturn:
    """Run the command line of this process and end it with the exit code."""
    sys.exit(main())
