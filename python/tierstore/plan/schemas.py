"""What the schema store decides without I/O: which arguments it takes, how metadata is kept, and the names of its derived keys."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from tierstore._native import canonical_uuid
from tierstore.errors import InvalidKeyError, ValidationError
from tierstore.plan.arguments import shown
from tierstore.plan.pointer import pointer

MAX_SUBJECT_CHARACTERS = 255
MAX_DESCRIPTION_CHARACTERS = 4_096
MAX_TAGS = 64
MAX_TAG_CHARACTERS = 255
MAX_METADATA_BYTES = 64 * 1024
MAX_METADATA_DEPTH = 32
MAX_TEXT_CHARACTERS = 1_024
MAX_INTEGER = 2**63 - 1
PROJECTED_BYTES = 8 * 1024
"""Content up to here is projected into the `content` column, whose GIN index grows with it."""


def check_subject(subject: object, *, place: str = "subject") -> str:
    """`subject` if it is a text of 1 to 255 characters without control characters. InvalidKeyError otherwise."""
    if not isinstance(subject, str):
        raise InvalidKeyError(f"a subject is text, not {type(subject).__name__}", place=place)
    if not 1 <= len(subject) <= MAX_SUBJECT_CHARACTERS:
        text = f"a subject has 1 to {MAX_SUBJECT_CHARACTERS} characters, this has {len(subject)}"
        raise InvalidKeyError(text, place=place)
    _check_prefix(subject, place)
    return subject


def check_prefix(prefix: object) -> str:
    """`prefix` if some subject could begin with it; the empty text is one."""
    return "" if isinstance(prefix, str) and not prefix else check_subject(prefix, place="prefix")


def _check_prefix(text: str, place: str) -> None:
    if text.isprintable() and text.isascii():
        return
    for index, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            text = f"character {index + 1} is {character!r}, a control character or half of a surrogate pair"
            raise InvalidKeyError(text, place=place)


def check_text(text: object, place: str, limit: int) -> str:
    """`text` if it has at most `limit` characters and both engines can hold it."""
    if not isinstance(text, str):
        raise ValidationError(f"{place} is text, not {type(text).__name__}", place=place)
    if len(text) > limit:
        raise ValidationError(f"{place} has {len(text)} characters; at most {limit} are taken", place=place)
    _check_storable(text, place)
    return text


def _check_storable(text: str, place: str) -> None:
    if "\0" in text:
        raise ValidationError("the text holds a NUL, which PostgreSQL cannot", place=place)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValidationError("the text holds half of a surrogate pair and is no UTF-8", place=place)


def check_tags(tags: object, place: str = "tags") -> list[str]:
    """The tags in their order, each once. ValidationError unless they are texts."""
    if isinstance(tags, (str, bytes, Mapping)) or not isinstance(tags, Iterable):
        raise ValidationError("tags is a list of texts", place=place)
    checked = [check_text(tag, place, MAX_TAG_CHARACTERS) for tag in tags]
    if "" in checked:
        raise ValidationError(
            f"tag {checked.index('') + 1} is empty; a tag has 1 to {MAX_TAG_CHARACTERS} characters", place=place
        )
    unique = list(dict.fromkeys(checked))
    if len(unique) > MAX_TAGS:
        raise ValidationError(f"there are {len(unique)} tags; at most {MAX_TAGS} are taken", place=place)
    return unique


class Described(NamedTuple):
    """Metadata as it is kept: JSON text that holds `tags` and `description` too, and the description for the search."""

    metadata: str
    description: str


def describe(metadata: object, description: object, tags: object) -> Described:
    """Merge what was given both ways: the tags of both, and the description of the argument before that of the mapping."""
    kept: dict[str, Any] = {} if metadata is None else dict(check_metadata(metadata))
    both = check_tags(kept.get("tags", ()), "metadata/tags") if isinstance(kept.get("tags", []), list) else None
    if both is None:
        raise ValidationError("metadata['tags'] is a list of texts", place="metadata/tags")
    if merged := check_tags([*both, *check_tags(tags)]):
        kept["tags"] = merged
    text = check_text(description, "description", MAX_DESCRIPTION_CHARACTERS)
    kept_text = check_text(kept.get("description", ""), "metadata/description", MAX_DESCRIPTION_CHARACTERS)
    if text or kept_text:
        kept["description"] = text or kept_text
    return Described(metadata_text(kept), text or kept_text)


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """The canonical JSON text of checked metadata. ValidationError if it is too long."""
    text = orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS).decode()
    if len(text) > MAX_METADATA_BYTES:
        raise ValidationError(
            f"metadata has {len(text)} bytes; at most {MAX_METADATA_BYTES} are taken", place="metadata"
        )
    return text


def check_metadata(metadata: object, place: str = "metadata") -> Mapping[str, Any]:
    """`metadata` if it is a mapping of text to JSON values that both engines hold exactly."""
    if not isinstance(metadata, Mapping):
        raise ValidationError(f"{place} is a mapping, not {type(metadata).__name__}", place=place)
    plain = _plain(metadata, (place,))
    assert isinstance(plain, dict)  # noqa: S101  (for the type checker: a mapping becomes a dict)
    return plain


def _plain(value: Any, path: tuple[str | int, ...]) -> Any:
    """The value as plain dicts, lists, texts and numbers; ValidationError with the JSON pointer of what is none."""
    if len(path) > MAX_METADATA_DEPTH:
        raise ValidationError(f"the value is nested more than {MAX_METADATA_DEPTH} deep", place=_place(path))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        _check_storable(value, _place(path))
        return str(value)
    if isinstance(value, int | float):
        return _number(value, path)
    if isinstance(value, Mapping):
        return {_name(name, path): _plain(inner, (*path, name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, (*path, index)) for index, inner in enumerate(value)]
    raise ValidationError(f"{type(value).__name__} is no JSON value", place=_place(path))


def _number(value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError(f"{value} is no JSON number", place=_place(path))
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValidationError("the number has more than 64 bits", place=_place(path))
    return value


def _name(name: object, path: tuple[str | int, ...]) -> str:
    if not isinstance(name, str):
        raise ValidationError(f"the name {shown(name)} is not text", place=_place(path))
    _check_storable(name, _place(path))
    return name


def _place(path: tuple[str | int, ...]) -> str:
    return pointer(path)[1:]


def projection(schema_type: str, content: bytes) -> str:
    """The JSON of the `content` column: the document where it is JSON, small, and JSONB can hold it; else `{}`. Never read back."""
    if schema_type == "protobuf" or len(content) > PROJECTED_BYTES:
        return "{}"
    try:
        text = orjson.dumps(orjson.loads(content))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return "{}"
    return "{}" if b"\\u0000" in text else text.decode()


def check_id(value: object) -> str:
    """The canonical text of an id given as text in any spelling or as `uuid.UUID`. InvalidKeyError for anything else."""
    if isinstance(value, (str, UUID)):
        return canonical_uuid(value)
    raise InvalidKeyError(f"an id is text or a UUID, not {type(value).__name__}", place="id")
