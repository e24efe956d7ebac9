"""Arguments of any call: how a wrong one is shown, lists of them, switches and paths. Callers without a type checker may give anything."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from tierstore.errors import StorageError, ValidationError, raise_alone

SHOWN_CHARACTERS = 60
MAX_MANY = 100_000
"""How many values one call takes."""
T = TypeVar("T")


def shown(value: object) -> str:
    """The value as an error shows it: its repr, at most SHOWN_CHARACTERS long, or its class where it has no repr."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def check_many(values: object, name: str, check: Callable[[object], T]) -> list[T]:
    """Each of `values`, at most MAX_MANY, checked, in order. ValidationError if they are no list (a text is one value); an error names
    its index."""
    if isinstance(values, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(values, Iterable):
        raise ValidationError(f"{name} must be a list, not {type(values).__name__}", place=name)
    checked: list[T] = []
    try:
        checked.extend(map(check, itertools.islice(values, MAX_MANY + 1)))
    except StorageError as error:
        raise_alone(in_list(error, name, len(checked)))
    if len(checked) > MAX_MANY:
        raise ValidationError(f"{name} must have at most {MAX_MANY:,} values; ask in batches", place=name)
    return checked


def in_list(error: StorageError, name: str, index: int) -> StorageError:
    """The error of one value of the list `name`, naming it."""
    error.message = f"{name}[{index}]: {error.message}"
    if isinstance(error, ValidationError) and error.place is not None:
        error.place = f"{name}[{index}].{error.place}"
    return error


def check_flag(value: object, name: str) -> bool:
    """`value` if it is True or False: "false" and 0 are neither."""
    if not isinstance(value, bool):
        raise ValidationError(f"{name} must be True or False, got {shown(value)}", place=name)
    return value


def check_expected(expected_version: object) -> int | None:
    """`expected_version` if it can be a row_version; None for None."""
    if expected_version is None:
        return None
    if isinstance(expected_version, int) and not isinstance(expected_version, bool) and abs(expected_version) < 2**63:
        return expected_version
    text = f"expected_version must be a row_version, a whole number, got {shown(expected_version)}"
    raise ValidationError(text, place="expected_version")


def check_callable(value: T, name: str) -> T:
    """`value` if it can be called. Called late, a wrong one would end what is half done."""
    if not callable(value):
        raise ValidationError(f"{name} must be a function, not {type(value).__name__}", place=name)
    return value


def check_path(path: object) -> Path:
    """`path` as a Path, if it could name a file."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(text := os.fspath(path), str):
        raise ValidationError(f"path must be str or os.PathLike, not {type(path).__name__}", place="path")
    if Path(text).name in ("", "..") or "\0" in text:
        raise ValidationError(f"path must name a file, got {shown(text)}", place="path")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise_alone(ValidationError(f"path must be encodable for the file system, got {shown(text)}", place="path"))
    return Path(text)
