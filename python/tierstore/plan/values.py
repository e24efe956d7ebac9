"""Values that every store takes: ids, names, texts, tags and metadata. A wrong one is an error that names its place."""

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

Id = str | UUID
"""An id: a `uuid.UUID`, or any spelling of one. The library answers with the canonical one."""
MAX_NAME_CHARACTERS = 255
MAX_DESCRIPTION_CHARACTERS = 4_096
MAX_TAGS = 64
MAX_TAG_CHARACTERS = 255
MAX_METADATA_BYTES = 64 * 1024
MAX_METADATA_DEPTH = 32
MAX_TEXT_CHARACTERS = 1_024
MAX_INTEGER = 2**63 - 1


def check_name(name: object, place: str) -> str:
    """`name` if it is a str of 1 to 255 characters without control characters. InvalidKeyError, with `place`, otherwise."""
    if not isinstance(name, str):
        raise InvalidKeyError(f"{place} must be str, not {type(name).__name__}", place=place)
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise InvalidKeyError(f"{place} must have 1 to {MAX_NAME_CHARACTERS} characters, got {len(name)}", place=place)
    if not (name.isprintable() and name.isascii()):
        _check_characters(name, place)
    return name


def check_prefix(prefix: object) -> str:
    """`prefix` if some name could begin with it; the empty one is allowed."""
    return "" if isinstance(prefix, str) and not prefix else check_name(prefix, "prefix")


def _check_characters(text: str, place: str) -> None:
    for index, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            raise InvalidKeyError(
                f"character {index + 1} of {place} is {character!r}; control characters and lone surrogates are not allowed",
                place=place,
            )


def check_text(text: object, place: str, limit: int) -> str:
    """`text` if it has at most `limit` characters and both engines can hold it."""
    if not isinstance(text, str):
        raise ValidationError(f"{place} must be str, not {type(text).__name__}", place=place)
    if len(text) > limit:
        raise ValidationError(f"{place} must have at most {limit} characters, got {len(text)}", place=place)
    _check_storable(text, place)
    return text


def _check_storable(text: str, place: str) -> None:
    if "\0" in text:
        raise ValidationError(f"{place} contains a NUL character, which PostgreSQL cannot store", place=place)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValidationError(f"{place} contains a lone surrogate, which UTF-8 cannot encode", place=place)


def check_tags(tags: object, place: str = "tags") -> list[str]:
    """The tags in their order, each once. ValidationError unless they are texts."""
    if isinstance(tags, (str, bytes, Mapping)) or not isinstance(tags, Iterable):
        raise ValidationError(f"{place} must be a list of str, got {shown(tags)}", place=place)
    checked = [check_text(tag, place, MAX_TAG_CHARACTERS) for tag in tags]
    if "" in checked:
        raise ValidationError(
            f"tag {checked.index('') + 1} is empty; a tag must have 1 to {MAX_TAG_CHARACTERS} characters", place=place
        )
    unique = list(dict.fromkeys(checked))
    if len(unique) > MAX_TAGS:
        raise ValidationError(f"{place} must have at most {MAX_TAGS} tags, got {len(unique)}", place=place)
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
        raise ValidationError(
            f"metadata['tags'] must be a list of str, got {shown(kept['tags'])}", place="metadata/tags"
        )
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
            f"metadata must have at most {MAX_METADATA_BYTES} bytes as JSON, got {len(text)}", place="metadata"
        )
    return text


def check_metadata(metadata: object, place: str = "metadata") -> Mapping[str, Any]:
    """`metadata` if it is a mapping of text to JSON values that both engines hold exactly."""
    if not isinstance(metadata, Mapping):
        raise ValidationError(f"{place} must be a mapping, not {type(metadata).__name__}", place=place)
    plain = _plain(metadata, (place,))
    assert isinstance(plain, dict)  # noqa: S101  (for the type checker: a mapping becomes a dict)
    return plain


def _plain(value: Any, path: tuple[str | int, ...]) -> Any:
    """The value as plain dicts, lists, texts and numbers; ValidationError with the JSON pointer of what is none."""
    if len(path) > MAX_METADATA_DEPTH:
        raise ValidationError(f"metadata must be nested at most {MAX_METADATA_DEPTH} levels deep", place=_place(path))
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
    raise ValidationError(f"expected a JSON value, got {type(value).__name__}", place=_place(path))


def _number(value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError(f"expected a finite number, got {value}", place=_place(path))
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValidationError("expected a number of at most 64 bits", place=_place(path))
    return value


def _name(name: object, path: tuple[str | int, ...]) -> str:
    if not isinstance(name, str):
        raise ValidationError(f"the names of a mapping must be str, got {shown(name)}", place=_place(path))
    _check_storable(name, _place(path))
    return name


def _place(path: tuple[str | int, ...]) -> str:
    return pointer(path)[1:]


def check_id(value: object) -> str:
    """The canonical text of an id given as text in any spelling or as `uuid.UUID`. InvalidKeyError for anything else."""
    if isinstance(value, (str, UUID)):
        return canonical_uuid(value)
    raise InvalidKeyError(f"id must be str or uuid.UUID, not {type(value).__name__}", place="id")
