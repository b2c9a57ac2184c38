"""Runs Python files that chainrule wrote, on arrays from a file: `driver.py FOLDER COUNT`."""

import runpy
import sys
from pathlib import Path

import numpy as np


def main(folder: Path, count: int) -> None:
    found = {}
    with np.load(folder / "given.npz", allow_pickle=False) as given:
        arrays: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
        for label in given.files:
            at, _, name = label.partition(" ")
            arrays[int(at)][name] = given[label]
    for at in range(count):
        names = runpy.run_path(str(folder / f"{at}.py"))
        (function,) = (names[f] for f in names if f.startswith("net_"))
        value, grads = function(**arrays[at])
        found[f"{at} "] = value
        found |= {f"{at} {name}": grad for name, grad in grads.items()}
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
