"""The shape of an Avro schema, with a JSON pointer to what is wrong; names and defaults are fastavro's part.

Source: the Avro 1.12 specification, "Schema Declaration". fastavro alone names no place, and answers a wrong shape with KeyError
or TypeError.
"""

from __future__ import annotations

import re
from typing import Any

from tierstore.errors import ValidationError
from tierstore.plan.pointer import pointer

NAMED = frozenset({"record", "error", "enum", "fixed"})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
Path = tuple[str | int, ...]


def check_avro(schema: Any) -> None:
    """ValidationError with the JSON pointer of the first thing that is wrong."""
    import fastavro.schema

    try:
        _type(schema, ())
        fastavro.schema.parse_schema(schema, _write_hint=False, named_schemas={})
    except ValidationError:
        raise
    except RecursionError:
        raise _wrong("the types are nested too deeply", ()) from None
    except Exception as error:  # fastavro answers bad schemas with KeyError, TypeError and its own classes
        raise _wrong(str(error) or type(error).__name__, _find(schema, error)) from error


def _type(schema: Any, path: Path) -> None:
    if isinstance(schema, list):
        for index, branch in enumerate(schema):
            if isinstance(branch, list):
                raise _wrong("a union holds no union directly", (*path, index))
            _type(branch, (*path, index))
    elif isinstance(schema, dict):
        _complex(schema, path)
    elif not isinstance(schema, str):
        raise _wrong("a type is a name, an object or a list of types", path)


def _complex(schema: dict[str, Any], path: Path) -> None:
    kind = _attribute(schema, "type", (str, dict, list), path)
    if not isinstance(kind, str):
        return _type(kind, (*path, "type"))
    if kind in NAMED:
        _name(schema, path)
    if kind in ("record", "error"):
        return _fields(schema, path)
    if kind == "enum":
        return _symbols(schema, path)
    if kind in ("array", "map"):
        inner = "items" if kind == "array" else "values"
        return _type(_attribute(schema, inner, (str, dict, list), path), (*path, inner))
    if kind == "fixed" and (size := _attribute(schema, "size", (int,), path)) < 0:
        raise _wrong(f"a size is not negative, this is {size}", (*path, "size"))
    return None


def _fields(schema: dict[str, Any], path: Path) -> None:
    seen = set()
    for index, field in enumerate(_attribute(schema, "fields", (list,), path)):
        place = (*path, "fields", index)
        if not isinstance(field, dict):
            raise _wrong("a field is an object", place)
        if (name := _name(field, place)) in seen:
            raise _wrong(f"the record has a field {name!r} already", (*place, "name"))
        seen.add(name)
        _type(_attribute(field, "type", (str, dict, list), place), (*place, "type"))


def _symbols(schema: dict[str, Any], path: Path) -> None:
    for index, symbol in enumerate(_attribute(schema, "symbols", (list,), path)):
        if not isinstance(symbol, str) or not NAME.fullmatch(symbol) or "." in symbol:
            raise _wrong(f"{symbol!r} is no symbol", (*path, "symbols", index))


def _name(schema: dict[str, Any], path: Path) -> str:
    name = str(_attribute(schema, "name", (str,), path))
    if not NAME.fullmatch(name):
        raise _wrong(f"{name!r} is no name", (*path, "name"))
    return name


def _attribute(schema: dict[str, Any], name: str, types: tuple[type, ...], path: Path) -> Any:
    if name not in schema:
        raise _wrong(f"{name!r} is missing", path)
    if not isinstance(schema[name], types) or isinstance(schema[name], bool):
        raise _wrong(f"{name!r} cannot be {schema[name]!r:.60}", (*path, name))
    return schema[name]


def _find(schema: Any, error: Exception) -> Path:
    """Where the unknown name stands that fastavro complained of; the whole document if it complained of something else."""
    unknown = getattr(error, "name", None)
    pending: list[tuple[Any, Path]] = [(schema, ())]
    while unknown and pending:
        node, path = pending.pop()
        if isinstance(node, str) and node in (unknown, str(unknown).rsplit(".", 1)[-1]):
            return path
        inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        pending.extend((child, (*path, key)) for key, child in inner if key not in ("name", "doc", "namespace"))
    return ()


def _wrong(text: str, path: Path) -> ValidationError:
    return ValidationError(f"no Avro schema: {text}", place=pointer(path))
