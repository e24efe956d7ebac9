"""What the calls over whole versions return: changelogs, checks of compatibility, imports of folders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tierstore.answers import Answer, exposed
from tierstore.plan.modules import ModuleState

ChangeKind = Literal[
    "file_added",
    "file_removed",
    "file_changed",
    "import_added",
    "import_removed",
    "package_changed",
    "metadata",
    "state",
]
"""The kinds of a VersionChange."""
CompatibilityRule = Literal["FILE_NO_DELETE", "FILE_PARSES", "FILE_SAME_PACKAGE", "PUBLIC_IMPORT_NO_DELETE"]
"""The rules of `check_compatibility`. Those that Buf has too have the names that it gave them."""
ImportOutcome = Literal["created", "unchanged"]
"""What an import did: it made the version, or found it there with the same files."""


@dataclass(frozen=True, slots=True)
class VersionChange(Answer):
    """One line of a changelog. None in `before` or `after` stands for nothing.

    Of files, `before` and `after` are digests; of imports, what the file at `path` imports (`public acme/money.proto`); of packages,
    their names. Of metadata, `path` is the name that changed. `at` and `actor`: when the audit says that it was done, and by whom.
    """

    kind: ChangeKind
    path: str | None
    before: Any
    after: Any
    at: datetime | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class Finding(Answer):
    """What may break those who use a version.

    `line` and `column`, from 1, are those of the old version's file; for FILE_PARSES, of the new one's.
    """

    rule: CompatibilityRule
    path: str
    line: int | None
    column: int | None
    symbol: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Compatibility(Answer):
    """Whether a version can take the place of another. `ok` if nothing was found."""

    module: str
    old: str
    new: str
    findings: tuple[Finding, ...]

    @property
    @exposed
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class SkippedFile(Answer):
    """What an import left out, and why. `path`: within the folder that was given."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class UnparsedFile(Answer):
    """A file that was imported although protoc would refuse it, with the place and the words of protoc."""

    path: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class ImportReport(Answer):
    """What an import of a folder did, and the version as it stands now."""

    module: str
    version: str
    outcome: ImportOutcome
    state: ModuleState
    digest: str
    file_count: int
    content_size: int
    skipped: tuple[SkippedFile, ...]
    unparsed: tuple[UnparsedFile, ...]


@dataclass(frozen=True, slots=True)
class RefusedModule(Answer):
    """A module of a forest that was not imported, and why. Nothing of it was written."""

    module: str
    reason: str


@dataclass(frozen=True, slots=True)
class ForestReport(Answer):
    """What an import of a folder of modules did. `skipped`: what lay beside their folders."""

    modules: tuple[ImportReport, ...]
    refused: tuple[RefusedModule, ...]
    skipped: tuple[SkippedFile, ...]
