"""A Python file that the user named on the command line: run once, its functions found."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from chainrule.errors import ChainruleError, ParameterError

MODULE = "chainrule_checked_file"  # what the file of the user is called while it runs


def run_file(path: Path) -> ModuleType:
    """Run the file that the user named, once, and return what it defines."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None  # a path that ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except ChainruleError:
        raise
    except (Exception, SystemExit) as error:
        raise ParameterError(_place(error, path)) from error
    finally:
        sys.path.remove(str(path.resolve().parent))
        del sys.modules[MODULE]
    return module


@contextlib.contextmanager
def blamed(path: Path) -> Iterator[None]:
    """Say where in the file that the user named an error comes from, if it does.

    Raises:
        ParameterError: code of the file raised something that is no error of chainrule.
    """
    try:
        yield
    except ChainruleError:
        raise
    except (Exception, SystemExit) as error:
        if not _line(error, path):
            raise
        raise ParameterError(_place(error, path)) from error


def _place(error: BaseException, path: Path) -> str:
    """``net.py line 3: NameError: …``: the innermost line of the file itself."""
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{path.name} line {_line(error, path)}: {said}"


def _line(error: BaseException, path: Path) -> int:
    """The innermost line of the file that the error went through; 0 if it went through none."""
    line, trace = getattr(error, "lineno", 0), error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == path.resolve():
            line = trace.tb_lineno
        trace = trace.tb_next
    return int(line or 0)


def is_definition(value: Any, module: ModuleType) -> bool:
    """Whether it is a function of this file all of whose inputs are annotated with text."""
    import inspect

    if not inspect.isfunction(value) or value.__module__ != module.__name__:
        return False
    quoted = bool(value.__code__.co_flags & _future_annotations())
    inputs = [p for p in inspect.signature(value).parameters.values() if p.default is p.empty]
    return bool(inputs) and all(
        isinstance(p.annotation, str) and (not quoted or p.annotation[:1] in "'\"") for p in inputs
    )


def _future_annotations() -> int:
    import __future__

    return __future__.annotations.compiler_flag
