"""Running the command line inside the tests, and small files to run it on."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chainrule.cli import main

ROOT = Path(__file__).parents[2]
NET = ROOT / "examples" / "cs230" / "two_sigmoid.net"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cr(tmp_path, monkeypatch, capsys):
    """Runs a command line in an empty folder, without a traceback whatever happens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Done(code, out, err)

    return run


def pets_rows(seed: int, rows: int, missing: tuple[int, ...] = ()) -> list[str]:
    """A text target, a column of numbers with a hole or two, and a categorical column."""
    draw = random.Random(seed)
    lines = ["age,colour,species"]
    for i in range(rows):
        species = draw.choice(["cat", "dog", "ferret"])
        age = {"cat": 7, "dog": 12, "ferret": 2}[species] + draw.gauss(0, 0.8)
        likely = {"cat": "black", "dog": "brown", "ferret": "white"}[species]
        colour = likely if draw.random() < 0.8 else "grey"
        lines.append(f"{'' if i in missing else round(age, 2)},{colour},{species}")
    return lines


@pytest.fixture
def pets(tmp_path) -> Path:
    """300 rows; the ages in lines 19 and 101 are missing."""
    path = tmp_path / "pets.csv"
    path.write_text("\n".join(pets_rows(3, 300, missing=(17, 99))) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def houses(tmp_path) -> Path:
    """A target that is a number: price = 50 · size + 20 · (garden) + noise."""
    draw = random.Random(5)
    lines = ["size,garden,price"]
    for _ in range(300):
        size, garden = draw.uniform(1, 9), draw.choice(["yes", "no"])
        price = 50 * size + 20 * (garden == "yes") + draw.gauss(0, 3)
        lines.append(f"{size:.3f},{garden},{price:.2f}")
    path = tmp_path / "houses.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
