"""Checks whether content is a sound schema of its type, and names the place of a fault (line and column, or a JSON pointer).

An error says what is expected there, and holds nothing of the content but the names in its pointer: a schema may hold secrets.

json          one strict parser (the core's): UTF-8, depth 512, no NaN, no duplicate spelling of a number
jsonschema    the same, then the meta-schema of the dialect that `$schema` names (2020-12 if none), by jsonschema-rs
avro          the same, then each type, name, union and default by the specification
protobuf      its imports, by the core's parser
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import orjson

from tierstore._native import check_json, check_proto
from tierstore.errors import ValidationError, raise_alone
from tierstore.plan.arguments import shown
from tierstore.plan.pointer import pointer
from tierstore.stores.schemas.model import SchemaType

SCHEMA_TYPES: tuple[SchemaType, ...] = get_args(SchemaType)
MAX_CONTENT_BYTES = 256 * 1024 * 1024
PARALLEL_BYTES = 64 * 1024
"""From this size on a check takes milliseconds, and runs beside the event loop."""

DIALECTS = {
    "json-schema.org/draft-04/schema": "http://json-schema.org/draft-04/schema#",
    "json-schema.org/draft-06/schema": "http://json-schema.org/draft-06/schema#",
    "json-schema.org/draft-07/schema": "http://json-schema.org/draft-07/schema#",
    "json-schema.org/draft/2019-09/schema": "https://json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft/2020-12/schema": "https://json-schema.org/draft/2020-12/schema",
    "json-schema.org/schema": "https://json-schema.org/draft/2020-12/schema",
}


def check_content(schema_type: str, content: bytes) -> None:
    """Raise ValidationError, with its place, unless `content` is a sound schema of its type. O(n) in the content."""
    _CHECKS[schema_type](content)


def check_type(schema_type: object) -> SchemaType:
    """Return `schema_type` if it is one of SCHEMA_TYPES; ValidationError otherwise."""
    for known in SCHEMA_TYPES:
        if isinstance(schema_type, str) and schema_type == known:
            return known
    expected = ", ".join(SCHEMA_TYPES)
    raise ValidationError(f"unknown schema type {shown(schema_type)}; expected one of {expected}", place="schema_type")


def _json(content: bytes) -> None:
    check_json(content)


def _parsed(content: bytes) -> Any:
    check_json(content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:  # a number beyond the range of a double, which JSON allows
        raise_alone(ValidationError(error.msg, place=f"line {error.lineno}, column {error.colno}"))


def _jsonschema(content: bytes) -> None:
    import jsonschema_rs

    schema = _parsed(content)
    if isinstance(schema, dict) and "$schema" in schema:
        schema = schema | {"$schema": _dialect(schema["$schema"])}
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        text = f"content is not a JSON Schema: expected {_expected(error.kind)}"
        raise_alone(ValidationError(text, place=pointer(error.instance_path)))


def _expected(kind: Any) -> str:
    """What the meta-schema asks for, in words. The validator's own message shows the value that it found."""
    match kind.name:
        case "type":
            return "the type " + " or ".join(kind.types)
        case "enum":
            return "one of " + ", ".join(map(str, kind.options))
        case "anyOf" | "oneOf":
            return " or ".join(dict.fromkeys(_expected(error.kind) for branch in kind.context for error in branch))
        case "minimum":
            return f"a number of at least {kind.limit}"
        case "exclusiveMinimum":
            return f"a number above {kind.limit}"
        case "minItems":
            return f"at least {kind.limit} items"
        case "required":
            return f"{kind.property!r} beside what is there"
        case "uniqueItems":
            return "items that differ"
        case "format":
            return f"the format {kind.format}"
        case "pattern":
            return f"a match of {kind.pattern}"
    return f"what {kind.name} in its meta-schema asks for"


def _dialect(named: object) -> str:
    """The canonical address of the dialect, so that jsonschema-rs never asks the network for its meta-schema."""
    bare = str(named).split("://", 1)[-1].rstrip("#")
    if not isinstance(named, str) or bare not in DIALECTS:
        known = ", ".join(DIALECTS.values())
        raise ValidationError(f"this dialect is not supported; expected one of {known}", place="/$schema")
    return DIALECTS[bare]


def _avro(content: bytes) -> None:
    from tierstore.stores.schemas.avro import check_avro

    check_avro(_parsed(content))


def _protobuf(content: bytes) -> None:
    check_proto(content)


_CHECKS: dict[str, Callable[[bytes], None]] = {
    "json": _json,
    "jsonschema": _jsonschema,
    "avro": _avro,
    "protobuf": _protobuf,
}
