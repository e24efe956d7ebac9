"""Values that every store takes: ids, names, texts, tags and metadata. A wrong one is an error that names its place."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sized
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from tierstore._native import canonical_uuid
from tierstore.errors import InvalidKeyError, ValidationError
from tierstore.plan.pointer import pointer

Id = str | UUID
"""An id: a `uuid.UUID`, or any spelling of one. The library answers with the canonical one."""
MAX_NAME_CHARACTERS = 255
MAX_DESCRIPTION_CHARACTERS = 4_096
MAX_TAGS = 64
MAX_TAG_CHARACTERS = 255
MAX_REPEATED_TAGS = 1_024
"""How many tags are looked at for MAX_TAGS different ones."""
MAX_METADATA_BYTES = 64 * 1024
MAX_METADATA_DEPTH = 32
MAX_TEXT_CHARACTERS = 1_024
MAX_INTEGER = 2**63 - 1
LAST_CHARACTER = "\U0010ffff"
"""No text that begins with a prefix is greater than the prefix with this behind it."""


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
    _check_storable(text, (place,))
    return text


def _check_storable(text: str, path: tuple[str | int, ...]) -> None:
    if "\0" in text:
        place = _place(path)
        raise ValidationError(f"{place} contains a NUL character, which PostgreSQL cannot store", place=place)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        place = _place(path)
        raise ValidationError(f"{place} contains a lone surrogate, which UTF-8 cannot encode", place=place)


def as_bytes(content: object, place: str, most: int) -> bytes:
    """The content as bytes, at most `most` of them. ValidationError for text: its encoding is the caller's choice."""
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise ValidationError(f"content must be bytes, not {type(content).__name__}", place=place)
    size = content.nbytes if isinstance(content, memoryview) else len(content)
    if size > most:
        raise ValidationError(f"content must have at most {most:,} bytes, got {size:,}", place=place)
    return content if isinstance(content, bytes) else bytes(content)


def check_tags(tags: object, place: str = "tags") -> list[str]:
    """The tags in their order, each once. ValidationError unless they are texts."""
    if isinstance(tags, (str, bytes, Mapping)) or not isinstance(tags, Iterable):
        raise ValidationError(f"{place} must be a list of str, not {type(tags).__name__}", place=place)
    unique: dict[str, None] = {}
    for number, tag in enumerate(tags, start=1):
        if not (checked := check_text(tag, place, MAX_TAG_CHARACTERS)):
            raise ValidationError(
                f"tag {number} is empty; a tag must have 1 to {MAX_TAG_CHARACTERS} characters", place=place
            )
        unique[checked] = None
        if len(unique) > MAX_TAGS or number > MAX_REPEATED_TAGS:
            got = len(tags) if isinstance(tags, Sized) else "more"
            raise ValidationError(f"{place} must have at most {MAX_TAGS} tags, got {got}", place=place)
    return list(unique)


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
            f"metadata['tags'] must be a list of str, not {type(kept['tags']).__name__}", place="metadata/tags"
        )
    if merged := check_tags([*both, *check_tags(tags)]):
        kept["tags"] = merged
    text = check_text(description, "description", MAX_DESCRIPTION_CHARACTERS)
    kept_text = check_text(kept.get("description", ""), "metadata/description", MAX_DESCRIPTION_CHARACTERS)
    if text or kept_text:
        kept["description"] = text or kept_text
    return Described(metadata_text(kept), text or kept_text)


def canonical_json(metadata: Mapping[str, Any]) -> bytes:
    """As `metadata_text`, in UTF-8, of any length: what is stored may have grown by the reason of a change of state."""
    return orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS)


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """The canonical JSON text of checked metadata. ValidationError if it is too long."""
    text = canonical_json(metadata)
    if len(text) > MAX_METADATA_BYTES:
        raise ValidationError(
            f"metadata must have at most {MAX_METADATA_BYTES} bytes as JSON, got {len(text)}", place="metadata"
        )
    return text.decode()


def check_metadata(metadata: object, place: str = "metadata") -> Mapping[str, Any]:
    """`metadata` if it is a mapping of text to JSON values that both engines hold exactly."""
    if not isinstance(metadata, Mapping):
        raise ValidationError(f"{place} must be a mapping, not {type(metadata).__name__}", place=place)
    plain = _Plain().of(metadata, (place,))
    assert isinstance(plain, dict)  # noqa: S101  (for the type checker: a mapping becomes a dict)
    return plain


class _Plain:
    """Values as plain dicts, lists, texts and numbers. What is too long as JSON text is walked only as far as it could be short enough."""

    def __init__(self) -> None:
        self._bytes = 0
        """At least so many the JSON text has."""

    def of(self, value: Any, path: tuple[str | int, ...]) -> Any:
        """ValidationError with the JSON pointer of what is no JSON value."""
        if len(path) > MAX_METADATA_DEPTH:
            raise ValidationError(
                f"metadata must be nested at most {MAX_METADATA_DEPTH} levels deep", place=_place(path)
            )
        if isinstance(value, str):
            self._count(len(value) + 2)
            _check_storable(value, path)
            return str(value)
        self._count(1)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return _number(value, path)
        if isinstance(value, Mapping):
            self._count(len(value))  # commas and a brace
            return {self._name(name, path): self.of(inner, (*path, name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            self._count(len(value))
            return [self.of(inner, (*path, index)) for index, inner in enumerate(value)]
        raise ValidationError(f"expected a JSON value, got {type(value).__name__}", place=_place(path))

    def _name(self, name: object, path: tuple[str | int, ...]) -> str:
        if not isinstance(name, str):
            raise ValidationError(f"the names of a mapping must be str, not {type(name).__name__}", place=_place(path))
        self._count(len(name) + 3)
        _check_storable(name, path)
        return name

    def _count(self, more: int) -> None:
        self._bytes += more
        if self._bytes > MAX_METADATA_BYTES:
            raise ValidationError(
                f"metadata must have at most {MAX_METADATA_BYTES} bytes as JSON, got more", place="metadata"
            )


def _number(value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError(f"expected a finite number, got {value}", place=_place(path))
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValidationError("expected a number of at most 64 bits", place=_place(path))
    return value


def _place(path: tuple[str | int, ...]) -> str:
    return pointer(path)[1:]


def check_id(value: object) -> str:
    """The canonical text of an id given as text in any spelling or as `uuid.UUID`. InvalidKeyError for anything else."""
    if isinstance(value, (str, UUID)):
        return canonical_uuid(value)
    raise InvalidKeyError(f"id must be str or uuid.UUID, not {type(value).__name__}", place="id")
