"""The front door: a name or a file becomes a `Dataset`. What a file is, its content decides."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, DataFileNotFoundError, ParameterError, TargetError
from chainrule.io import idx, npfile
from chainrule.io.arrays import check_X, check_y
from chainrule.io.csvfile import CsvForm, CsvOptions, parse_csv
from chainrule.io.dataset import Dataset
from chainrule.io.decode import LineLimit
from chainrule.io.features import OPTIONS, Missing, complete_rows
from chainrule.io.files import (
    FileBytes,
    expand_gzip,
    looks_like,
    not_found,
    read_bytes,
    refuse_pickle,
)
from chainrule.io.table import Table
from chainrule.io.target import Target, Task, find_target, task_of
from chainrule.io.wording import choices, listed, named, plural, shown

DIGITS = "digits"
DIGITS_LARGEST_PIXEL = 16  # each of the 8×8 pixels counts the dark ones of 4×4: data/SOURCE.md
BYTE_LARGEST_PIXEL = 255


def load(
    source: str | os.PathLike[str],
    *,
    target: str | None = None,
    need_target: bool = True,
    task: Task | None = None,
    leave_out: Iterable[str] = (),
    missing: Missing = "error",
    **options: Unpack[CsvOptions],
) -> Dataset:
    """Read a data set.

    Args:
        source: "digits" (bundled), or a file: CSV or TSV (gzipped or not), .npz with X and y, .npy,
            or IDX images (gzipped or not) with the file of labels beside them.
        target: the column to predict: its name in a table, the key in a .npz, the column number
            in a .npy. Images bring their labels.
        need_target: False for data to predict from.
        task: "classification" or "regression", None to let the target decide (see `Target`).
        leave_out: columns of a table that are no features, such as names and row numbers.
        missing: what missing cells get: see `Features`. "drop" leaves their rows out and counts
            them.
        options: sep, decimal, encoding, na_values, on_bad_rows, max_line_bytes and max_expansion:
            see `read_csv`; max_expansion holds for every compressed file.

    Raises:
        DataFileNotFoundError: there is no such file; names a similar one.
        TargetError: the target is not there, or is needed and not given.
        UnsafeFileError: reading the file could run code.
        DataError, DTypeError, ShapeError, ResourceError, ParameterError: as their names say.

    >>> data = load("digits")
    >>> len(data), data.class_names, data.image_shape
    (1797, ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'), (8, 8))
    """
    if missing not in OPTIONS["missing"]:
        allowed = choices(OPTIONS["missing"])
        raise ParameterError(f"missing must be one of {allowed}, got {missing!r}")
    if source == DIGITS:
        return _digits()
    form, path = CsvForm(**options), Path(source)
    file = _read(path, form)
    kind = _kind(file, path)
    if kind == "csv":
        if form.sep is None and ".tsv" in path.suffixes:
            form = replace(form, sep="\t")
        data = _from_csv(parse_csv(file, form), target, task, leave_out, missing)
    elif kind == "idx":
        data = _from_idx(file, path, need_target, form.max_expansion)
    elif kind == "npz":
        data = _from_npz(file, target, task, form.max_expansion)
    else:
        data = _from_npy(file, target, task)
    if need_target and data.target is None:
        raise TargetError(
            "no target is given",
            where=data.name,
            hint=f'Say target="…". Columns: {listed(data.columns, 20)}',
        )
    return data


def _read(path: Path, form: CsvForm) -> FileBytes:
    try:
        return read_bytes(path, watch=LineLimit(shown(path.name), form.max_line_bytes))
    except DataFileNotFoundError:
        raise not_found(path, also=(DIGITS,)) from None


def _kind(file: FileBytes, path: Path) -> Literal["csv", "idx", "npz", "npy"]:
    """What the file is, by its first bytes. Raises UnsafeFileError for pickles."""
    head = file.data
    if looks_like(head) == "gzip":
        head = expand_gzip(head, file.name, stop_after=1)
    refuse_pickle(file.data, file.name)
    refuse_pickle(head, file.name)
    if idx.is_idx(head):
        return "idx"
    if npfile.is_npy(file.data):
        return "npy"
    if looks_like(file.data) == "zip":
        return "npz"
    if path.suffix in (".npy", ".npz"):
        found = looks_like(file.data)
        raise DataError(
            f"{named(file.name)} is not a {path.suffix} file"
            + (f" (looks like: {found})" if found else "")
        )
    return "csv"


def _digits() -> Dataset:
    data = (files("chainrule.io") / "data" / "digits.npz").read_bytes()
    file = FileBytes(DIGITS, data, hashlib.sha256(data).hexdigest())
    arrays = npfile.parse_npz(file)
    images = arrays["images"].reshape(-1, 8, 8)
    return _from_images(file, images, arrays["labels"], DIGITS_LARGEST_PIXEL)


def _from_images(
    file: FileBytes, images: NDArray[Any], labels: NDArray[Any] | None, largest: int | None
) -> Dataset:
    """Images (n, height, width …) as rows of float32; pixels divided by the largest they can be."""
    flat = images.reshape(len(images), -1)
    X = check_X(flat if largest is None else flat.astype(np.float32) / np.float32(largest))
    shape = images.shape[1:]
    return Dataset(
        name=file.name,
        sha256=file.sha256,
        columns=tuple(f"pixel {','.join(map(str, index))}" for index in np.ndindex(shape)),
        rows=np.arange(len(X)),
        X=X,
        y=None if labels is None else check_y(labels, len(X)),
        target=None if labels is None else "label",
        task=None if labels is None else "classification",
        scaling="" if largest is None else f"/{largest}",
        image_shape=shape,
    )


def _from_idx(file: FileBytes, path: Path, need_target: bool, max_expansion: int) -> Dataset:
    images = idx.parse_idx(file, max_expansion=max_expansion)
    idx.check_images(images, file.name)
    beside = idx.labels_path(path)
    if beside is None and need_target:
        raise idx.labels_not_found(path)
    labels = None
    if beside is not None:
        labels = idx.read_idx(beside, max_expansion=max_expansion)
        idx.check_pair(images, labels, file.name, beside.name)
    largest = BYTE_LARGEST_PIXEL if images.dtype == np.uint8 else None
    return _from_images(file, images, labels, largest)


def _from_npz(
    file: FileBytes, target: str | None, task: Task | None, max_expansion: int
) -> Dataset:
    arrays = npfile.parse_npz(file, max_expansion=max_expansion)
    X = npfile.pick(arrays, npfile.X_KEYS, "features", file.name)
    y = None
    if target is not None or any(key in arrays for key in npfile.Y_KEYS):
        keys = npfile.Y_KEYS if target is None else (target,)
        y = npfile.pick(arrays, keys, "target", file.name)
    return _from_arrays(file, X, y, task, target or "y")


def _from_npy(file: FileBytes, target: str | None, task: Task | None) -> Dataset:
    values = npfile.parse_npy(file.data, file.name)
    if target is None:
        return _from_arrays(file, values, None, task, "")
    n_columns = values.shape[1] if values.ndim == 2 else 0
    if not target.removeprefix("-").isdecimal() or not -n_columns <= int(target) < n_columns:
        raise TargetError(
            f"target {named(target)} is not a column number",
            where=named(file.name),
            hint=f"The array has {plural(n_columns, 'column')}: 0 is the first, -1 the last",
        )
    column = int(target) % n_columns
    return _from_arrays(
        file, np.delete(values, column, axis=1), values[:, column], task, f"column {column}"
    )


def _from_arrays(
    file: FileBytes, X: NDArray[Any], y: NDArray[Any] | None, task: Task | None, target: str
) -> Dataset:
    shape = X.shape[1:] if X.ndim > 2 else ()
    features = check_X(X.reshape(len(X), -1) if X.ndim > 2 else X)
    labels = None if y is None else check_y(y, len(features))
    if labels is not None:
        task = Target.fit_array(labels, name=target, task=task).task
    return Dataset(
        name=file.name,
        sha256=file.sha256,
        columns=tuple(f"x{i}" for i in range(features.shape[1])),
        rows=np.arange(len(features)),
        X=features,
        y=labels,
        target=None if labels is None else target,
        task=None if labels is None else task,
        image_shape=shape,
    )


def _from_csv(
    table: Table,
    target: str | None,
    task: Task | None,
    leave_out: Iterable[str],
    missing: Missing,
) -> Dataset:
    name = None if target is None else find_target(table, target)
    others = {table.columns[table.index(column)] for column in leave_out}
    columns = tuple(c for c in table.columns if c != name and c not in others)
    rows = np.arange(len(table))
    if missing == "drop":
        rows = complete_rows(table, columns if name is None else (*columns, name))
        if len(rows) == 0:
            raise DataError("every row has a missing cell: none is left", where=table.name)
    return Dataset(
        name=table.name,
        sha256=table.sha256,
        columns=columns,
        rows=rows,
        table=table,
        target=name,
        task=None if name is None else task or task_of(table, name),
        missing=missing,
        dropped=len(table) - len(rows),
        skipped=table.skipped,
    )
