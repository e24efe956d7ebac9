"""How long a call may take when its caller gives no `timeout=`."""

from __future__ import annotations

from dataclasses import dataclass, field

from tierstore.config.check import check
from tierstore.config.setting import Policy, named


@dataclass(frozen=True, slots=True, repr=False)
class Deadlines(Policy):
    """How long a call may take when its caller gives no `timeout=`, in seconds."""

    read: float = field(default=5, metadata=named("TIERSTORE_READ_TIMEOUT_SECONDS", "deadlines.read"))
    """For a call that reads."""
    write: float = field(default=10, metadata=named("TIERSTORE_WRITE_TIMEOUT_SECONDS", "deadlines.write"))
    """For a call that writes."""
    search: float = field(default=10, metadata=named("TIERSTORE_SEARCH_TIMEOUT_SECONDS", "deadlines.search"))
    """For a search or a list."""
    bulk: float = field(default=120, metadata=named("TIERSTORE_BULK_TIMEOUT_SECONDS", "deadlines.bulk"))
    """For a call with many records, and for migrations."""
    open: float = field(default=30, metadata=named("TIERSTORE_OPEN_TIMEOUT_SECONDS", "deadlines.open"))
    """For opening a store."""
    close: float = field(default=10, metadata=named("TIERSTORE_CLOSE_TIMEOUT_SECONDS", "deadlines.close"))
    """For closing a store."""

    def __post_init__(self) -> None:
        check(self, "deadlines.")
