"""Checks whether content is an Avro schema, with a JSON pointer to what is wrong.

Source: the Avro 1.12 specification, "Schema Declaration" and "Names". Where it leaves a choice, what Java's reference takes is taken: a
name may be referred to by an object, `{"type": "Name"}`, and one that the enclosing namespace lacks is looked for outside of all of them.
A logical type that is not sound is ignored, as the specification asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tierstore.errors import ValidationError, raise_alone
from tierstore.plan.pointer import pointer

PRIMITIVE = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
TYPES = (str, dict, list)
WORDS = {
    str: "a string",
    dict: "an object",
    list: "a list",
    int: "a whole number",
    float: "a number",
    bool: "a boolean",
}
ORDERS = ("ascending", "descending", "ignore")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SPACE = re.compile(rf"{WORD.pattern}(\.{WORD.pattern})*")
DOTTED = re.compile(rf"\.?{SPACE.pattern}")
"""Before a name a dot says that no namespace encloses it."""
BITS = {"int": 31, "long": 63}
Path = tuple[str | int, ...]
Definition = dict[str, Any]
Resolved = str | Definition | list[Any]
"""A type without references: a primitive's name, a definition, or a list of such."""
Seen = dict[tuple[int, int], bool]
"""Whether a value is of a definition, asked once a pair: unions of records in one another would ask for ever."""


def check_avro(schema: Any) -> None:
    """Raise ValidationError, with the JSON pointer of the first thing that is wrong."""
    try:
        _Document().type(schema, (), "")
    except RecursionError:
        raise_alone(_wrong("the types are nested too deeply", ()))


class _Document:
    """One schema, and the names that were defined in it so far."""

    def __init__(self) -> None:
        self._names: dict[str, Definition] = {}

    def type(self, schema: Any, path: Path, space: str) -> Resolved:
        """What the type is, once it and all in it are sound."""
        if isinstance(schema, list):
            return self._union(schema, path, space)
        if isinstance(schema, dict):
            return self._object(schema, path, space)
        if not isinstance(schema, str):
            raise _wrong("a type must be a name, an object or a list of types", path)
        return self._named(schema, path, space)

    def _named(self, name: str, path: Path, space: str) -> Resolved:
        if name in PRIMITIVE:
            return name
        for known in (_full(name, space), name):
            if known in self._names:
                return self._names[known]
        raise _wrong("the type is not known; a named type must be defined before it is used", path)

    def _union(self, branches: list[Any], path: Path, space: str) -> Resolved:
        found: list[Any] = []
        names = set()
        for index, branch in enumerate(branches):
            place = (*path, index)
            if isinstance(branch, list):
                raise _wrong("a union must not contain another union directly", place)
            resolved = self.type(branch, place, space)
            type_name = _type_name(resolved)
            same = resolved["name"] if isinstance(resolved, dict) and "name" in resolved else type_name
            if same in names:
                raise _wrong("the union contains the same type twice", place)
            names.add(same)
            found.append(resolved)
        return found

    def _object(self, schema: Definition, path: Path, space: str) -> Resolved:
        type_name = _attribute(schema, "type", (str,), path)
        match type_name:
            case "record" | "error":
                return self._record(schema, path, space)
            case "enum":
                return self._enum(schema, path, space)
            case "fixed":
                if (size := _attribute(schema, "size", (int,), path)) < 0:
                    raise _wrong("size must be at least 0", (*path, "size"))
                return self._define(schema, path, space, {"type": "fixed", "size": size})
            case "array" | "map":
                inner = "items" if type_name == "array" else "values"
                item = self.type(_attribute(schema, inner, TYPES, path), (*path, inner), space)
                return {"type": type_name, "item": item}
        return self._named(type_name, (*path, "type"), space)

    def _define(self, schema: Definition, path: Path, space: str, definition: Definition) -> Definition:
        """Enter a named type."""
        name = str(_attribute(schema, "name", (str,), path))
        outer = space if schema.get("namespace") is None else _attribute(schema, "namespace", (str,), path)
        if outer and not SPACE.fullmatch(outer):
            raise _wrong("namespace must be names joined by dots", (*path, "namespace"))
        full = _full(name, outer)
        if not DOTTED.fullmatch(name) or full in PRIMITIVE:
            raise _wrong(
                "name must be letters, digits and underscores, and not a primitive type",
                (*path, "name"),
            )
        if full in self._names:
            raise _wrong("a type of this name is defined already", (*path, "name"))
        _aliases(schema, path)
        self._names[full] = definition
        definition["name"] = full
        return definition

    def _enum(self, schema: Definition, path: Path, space: str) -> Definition:
        symbols = _attribute(schema, "symbols", (list,), path)
        for index, symbol in enumerate(symbols):
            if not isinstance(symbol, str) or not WORD.fullmatch(symbol):
                raise _wrong("a symbol must be letters, digits and underscores", (*path, "symbols", index))
        if len(set(symbols)) < len(symbols):
            raise _wrong("the same symbol is listed twice", (*path, "symbols"))
        if "default" in schema and schema["default"] not in symbols:
            raise _wrong("the default must be one of the symbols", (*path, "default"))
        return self._define(schema, path, space, {"type": "enum", "symbols": symbols})

    def _record(self, schema: Definition, path: Path, space: str) -> Definition:
        fields: dict[str, tuple[Resolved, bool]] = {}
        definition = self._define(schema, path, space, {"type": "record", "fields": fields})
        space = definition["name"].rpartition(".")[0]
        for index, field in enumerate(_attribute(schema, "fields", (list,), path)):
            place = (*path, "fields", index)
            if not isinstance(field, dict):
                raise _wrong("a field must be an object", place)
            name = _attribute(field, "name", (str,), place)
            if not WORD.fullmatch(name) or name in fields:
                shape = "must be letters, digits and underscores"
                reason = "is used by another field" if name in fields else shape
                raise _wrong(f"the name of a field {reason}", (*place, "name"))
            resolved = self.type(_attribute(field, "type", TYPES, place), (*place, "type"), space)
            fields[name] = (resolved, "default" in field)
            _about_field(field, resolved, place)
        return definition


def _about_field(field: Definition, resolved: Resolved, path: Path) -> None:
    _aliases(field, path)
    if field.get("order", "ascending") not in ORDERS:
        raise _wrong(f"order must be one of {', '.join(ORDERS)}", (*path, "order"))
    if "default" in field and not _is_value(field["default"], resolved, {}):
        raise _wrong("the default does not match the type of its field", (*path, "default"))


def _is_value(value: Any, resolved: Resolved, seen: Seen) -> bool:
    """Whether a default, in JSON, is of the type; of any branch of a union, as from 1.12 on."""
    if isinstance(resolved, list):
        return any(_is_value(value, branch, seen) for branch in resolved)
    if isinstance(resolved, dict):
        pair = (id(value), id(resolved))
        if pair not in seen:
            seen[pair] = _is_of(value, resolved, seen)
        return seen[pair]
    match resolved:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "bytes":
            return _is_bytes(value)
        case "int" | "long":
            return isinstance(value, int) and not isinstance(value, bool) and value in _range(resolved)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_of(value: Any, definition: Definition, seen: Seen) -> bool:
    match definition["type"]:
        case "array":
            return isinstance(value, list) and all(_is_value(one, definition["item"], seen) for one in value)
        case "map":
            return isinstance(value, dict) and all(_is_value(one, definition["item"], seen) for one in value.values())
        case "enum":
            return value in definition["symbols"]
        case "fixed":
            return _is_bytes(value) and len(value) == definition["size"]
    fields: Mapping[str, tuple[Resolved, bool]] = definition["fields"]
    return isinstance(value, dict) and all(
        _is_value(value[name], resolved, seen) if name in value else has_default
        for name, (resolved, has_default) in fields.items()
    )


def _is_bytes(value: Any) -> bool:
    """A byte is a character up to U+00FF."""
    return isinstance(value, str) and all(character <= "\xff" for character in value)


def _range(name: str) -> range:
    return range(-(1 << BITS[name]), 1 << BITS[name])


def _type_name(resolved: Resolved) -> str:
    return str(resolved["type"]) if isinstance(resolved, dict) else str(resolved)


def _full(name: str, space: str) -> str:
    return name.removeprefix(".") if "." in name or not space else f"{space}.{name}"


def _aliases(schema: Definition, path: Path) -> None:
    if "aliases" not in schema:
        return
    for index, alias in enumerate(_attribute(schema, "aliases", (list,), path)):
        if not isinstance(alias, str) or not DOTTED.fullmatch(alias):
            raise _wrong("an alias must be names joined by dots", (*path, "aliases", index))


def _attribute(schema: Definition, name: str, types: tuple[type, ...], path: Path) -> Any:
    if name not in schema:
        raise _wrong(f"{name!r} is missing", path)
    if not isinstance(schema[name], types) or isinstance(schema[name], bool):
        expected = " or ".join(WORDS[one] for one in types)
        raise _wrong(f"{name!r} must be {expected}, got {WORDS.get(type(schema[name]), 'null')}", (*path, name))
    return schema[name]


def _wrong(text: str, path: Path) -> ValidationError:
    return ValidationError(f"content is not an Avro schema: {text}", place=pointer(path))
