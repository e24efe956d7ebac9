"""Semantic versions as the stores take and write them, and keys made of a name and a version."""

from __future__ import annotations

from tierstore._native import Version
from tierstore.errors import ValidationError


def as_version(version: object) -> Version:
    """A version given as text or as `Version`. ValidationError for anything that semver does not take."""
    if isinstance(version, Version):
        return version
    if not isinstance(version, str):
        raise ValidationError(f"version must be str, not {type(version).__name__}", place="version")
    return Version(version)


def version_identity(version: Version) -> str:
    """The version's text without its build metadata."""
    return str(version).split("+", 1)[0]


def pair_text(pair: tuple[str, str]) -> str:
    """A name and a version as one text: no version contains a colon."""
    return f"{pair[1]}:{pair[0]}"


def pair_of(text: str) -> tuple[str, str]:
    """What `pair_text` was given."""
    version, _, name = text.partition(":")
    return name, version
