"""The way of the data: imports go one way only, and side effects stay where they belong.

Everything is read off the text with `ast`, so imports inside functions count as well. Each rule is
also tested on planted violations: a rule that cannot fail guards nothing.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import chainrule

PACKAGE = Path(__file__).parents[2] / "chainrule"

# Left may not import right. Parts in one pair of braces may not import each other.
LAYERS = (
    {"errors"},
    {"expr"},
    {"ops"},
    {"nn"},
    {"definition"},
    {"netfile"},
    {"differentiate"},
    {"plan"},
    {"emit"},
    {"run"},
    {"training"},
    {"texmath"},
    {"check"},
    {"explain"},
    {"diagnose"},
    {"derivation"},
    {"auditing"},
    {"exercises"},
    {"io"},
    {"estimators"},
    {"bench"},
    {"cli", "studio"},
    {"__main__"},
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# Left of `run` nothing touches arrays, files, compilers or threads.
EFFECTS = {
    *("numpy", "scipy", "ctypes", "cffi", "llvmlite"),
    *("threading", "multiprocessing", "concurrent", "asyncio", "subprocess", "signal", "socket"),
    *("os", "pathlib", "shutil", "tempfile", "glob", "fileinput", "mmap"),
}
# `netfile` reads the one file it is given.
READS_A_FILE = {"netfile"}

CHECKOUT_ONLY = {"benchmarks", "tests", "tools", "examples"}

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
# Each engine of a benchmark is imported in a process of its own, which is told which one.
MAY_IMPORT_BY_NAME = "bench/worker.py"
MAY_RUN_CODE = "run/reference.py"
UNSAFE_FORMATS = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(name: str) -> str:
    """The part that a module belongs to: ops/record.py → ops, expr.py → expr."""
    return name.split("/")[0].removesuffix(".py")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(tree: ast.AST, name: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything imported, relative imports resolved."""
    package = ["chainrule", *name.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"}:
            target = node.args[0] if node.args else None
            known = isinstance(target, ast.Constant) and isinstance(target.value, str)
            yield node.lineno, target.value if known else "<computed>"


def called(node: ast.Call) -> str:
    """The last name of what is called: importlib.import_module(…) → import_module."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def wrong_way(name: str, text: str) -> list[str]:
    """Imports of `name` that go right or sideways, or that take a name from the whole package."""
    part, found = part_of(name), []
    if part not in RANK:
        return [f"{name}: {part!r} has no place in LAYERS"]
    for line, target in imports(ast.parse(text), name):
        root, _, rest = target.partition(".")
        if target == "<computed>" and name != MAY_IMPORT_BY_NAME:
            found.append(f"{name}:{line} imports a module by a computed name")
        if root in CHECKOUT_ONLY:
            found.append(f"{name}:{line} imports {target}, which is not installed")
        if root != "chainrule":
            continue
        other = rest.split(".")[0]
        if other not in RANK and RANK[part] >= RANK["cli"]:
            continue  # the commands and the studio use what users use
        if other not in RANK:
            found.append(f"{name}:{line} imports {target} from the public names: name its module")
        elif other != part and RANK[other] >= RANK[part]:
            found.append(f"{name}:{line} imports {target}, which is not left of {part}")
    return found


def effects(name: str, text: str) -> list[str]:
    """Imports and calls of `name`, left of run, that reach arrays, files, compilers or threads."""
    part, tree = part_of(name), ast.parse(text)
    if RANK.get(part, RANK["run"]) >= RANK["run"]:
        return []
    allowed = {"os", "pathlib"} if part in READS_A_FILE else set()
    found = [
        f"{name}:{line} imports {target}"
        for line, target in imports(tree, name)
        if target.split(".")[0] in EFFECTS - allowed
    ]
    opened = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and called(n) == "open"]
    if part not in READS_A_FILE:
        found += [f"{name}:{node.lineno} opens a file" for node in opened]
    return found


def runs_code(name: str, text: str) -> list[str]:
    """Places in `name` that execute text, or load a format that does."""
    tree, found = ast.parse(text), []
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="exec" | "eval" as function) if name != MAY_RUN_CODE:
                found.append(f"{name}:{node.lineno} uses {function}")
            case ast.Attribute(ast.Name("builtins"), "exec" | "eval" as function):
                found.append(f"{name}:{node.lineno} uses builtins.{function}")
            case ast.keyword("allow_pickle", value) if ast.unparse(value) != "False":
                found.append(f"{name}:{value.lineno} allows pickle")
    for line, target in imports(tree, name):
        if target.split(".")[0] in UNSAFE_FORMATS:
            found.append(f"{name}:{line} imports {target}")
    return found


def too_long(name: str, text: str) -> list[str]:
    """The module or functions in it that a reader cannot take in."""
    lines = len(text.splitlines())
    found = [f"{name} has {lines} lines (at most {MOST_LINES})"] if lines > MOST_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if lines > MOST_LINES_OF_A_FUNCTION:
                found.append(f"{name}:{node.lineno} {node.name} has {lines} lines")
    return found


def too_deep(name: str) -> list[str]:
    """Folders below the package: emit/llvm/loops.py lies in two of them."""
    return [f"{name} is more than two folders deep"] if name.count("/") > 2 else []


def every(rule) -> list[str]:
    return [
        problem for path in modules() for problem in rule(name_of(path), path.read_text("utf-8"))
    ]


def test_imports_go_one_way():
    exempt = "__init__.py"  # the public names come from everywhere
    assert not [p for p in every(wrong_way) if not p.startswith((exempt + ":", exempt + " "))]


def test_nothing_left_of_run_touches_arrays_files_compilers_or_threads():
    assert not every(effects)


def test_text_is_executed_in_one_module_only_and_pickle_is_used_nowhere():
    assert not every(runs_code)


def test_modules_and_functions_can_be_read():
    assert not every(too_long)


def test_folders_are_at_most_two_levels_deep():
    assert not [problem for path in modules() for problem in too_deep(name_of(path))]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("expr.py", "from chainrule.ops import relu"),
        ("expr.py", "import chainrule.ops.record"),
        ("errors.py", "from chainrule import expr"),
        ("errors.py", "from . import expr"),
        ("ops/record.py", "from ..nn import dense"),
        ("ops/record.py", "from .. import derive"),
        ("differentiate.py", "def f():\n    from chainrule.emit.tex import latex"),
        ("differentiate.py", "if TYPE_CHECKING:\n    from chainrule.run import engine"),
        ("plan/memory.py", "import importlib\nimportlib.import_module('chainrule.run')"),
        ("plan/memory.py", "import_module(name)"),
        ("check/lines.py", "from chainrule.explain import steps"),
        ("definition.py", "from chainrule.netfile import read"),
        ("io/csv.py", "from chainrule.estimators import Classifier"),
        ("io/csv.py", "import chainrule as cr"),
        ("bench/contest.py", "from chainrule.cli.output import table"),
        ("bench/contest.py", "import_module(name)"),
        ("bench/scaling.py", "def f():\n    from benchmarks.plot import figure"),
        ("io/csv.py", "from chainrule import train_network"),
        ("helpers.py", "import math"),
    ],
)
def test_a_planted_import_to_the_right_is_found(name, text):
    assert wrong_way(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cli/main.py", "from chainrule.training import loop\nfrom . import commands"),
        (
            "ops/record.py",
            "from chainrule.ops.table import TABLE\nfrom .layout import x\nimport math",
        ),
        ("nn.py", "from chainrule import errors, expr, ops"),
        ("estimators.py", "from chainrule.derivation import Derivation"),
        ("cli/main.py", "import chainrule as cr\nfrom chainrule import __version__"),
    ],
)
def test_an_import_to_the_left_or_within_a_part_is_fine(name, text):
    assert not wrong_way(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ops/record.py", "import numpy as np"),
        ("differentiate.py", "def f():\n    import numpy.linalg"),
        ("emit/llvm.py", "from llvmlite import ir"),
        ("plan/program.py", "from concurrent.futures import ThreadPoolExecutor"),
        ("expr.py", "from pathlib import Path"),
        ("emit/tex.py", "def f():\n    return open('x').read()"),
        ("netfile.py", "import numpy"),
    ],
)
def test_a_planted_effect_left_of_run_is_found(name, text):
    assert effects(name, text)


def test_effects_are_allowed_from_run_on_and_netfile_reads_its_file():
    assert not effects("run/engine.py", "import numpy, ctypes, threading")
    assert not effects("netfile.py", "from pathlib import Path\nopen('x.net')")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("netfile.py", "value = eval(text)"),
        ("cli/main.py", "import builtins\nbuiltins.exec(text)"),
        ("io/model.py", "run = exec"),
        ("io/model.py", "def f():\n    import pickle"),
        ("io/model.py", "from joblib import load"),
        ("io/model.py", "np.load(path, allow_pickle=True)"),
        ("run/reference.py", "import marshal"),
    ],
)
def test_planted_execution_of_text_is_found(name, text):
    assert runs_code(name, text)


def test_the_reference_executor_may_execute_and_arrays_may_be_loaded_without_pickle():
    assert not runs_code("run/reference.py", "exec(code, names)")
    assert not runs_code("io/arrays.py", "np.load(path, allow_pickle=False)")


def test_a_planted_long_module_and_a_long_function_are_found():
    assert too_long("expr.py", "x = 1\n" * (MOST_LINES + 1))
    assert too_long("expr.py", "def f():\n" + "    x = 1\n" * MOST_LINES_OF_A_FUNCTION)
    assert not too_long("expr.py", "def f():\n    return 1\n")


def test_a_planted_third_folder_is_found():
    assert too_deep("ops/losses/real/mse.py")
    assert not too_deep("ops/losses/mse.py")


def test_no_public_name_is_also_the_name_of_a_module():
    """Importing chainrule.x would otherwise put the module in the place of the function cr.x."""
    modules = {path.stem for path in PACKAGE.iterdir()} - {"__init__", "__pycache__"}
    assert not modules & set(chainrule.__all__)
