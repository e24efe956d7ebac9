"""Values under keys, each with an end: `store.state`.

model, arguments: what is taken and returned · reader, store: the calls · watch: changes and all keys · values, reading, envelope: what is
stored for a value · transfer, rekey: all values at once · service: facts with types over the calls · parts: what the store has once ·
tables, table_feed, housekeeping: state in the store's database
"""

from __future__ import annotations

from tierstore.stores.state.model import (
    ABSENT,
    DEFAULT,
    KEEP,
    Absent,
    Default,
    Entry,
    Keep,
    StateChange,
    StateExport,
    StateImport,
    StateRekey,
    StateStatistics,
)
from tierstore.stores.state.service import Asking, Call, Fact, StateField, StateService, Storing
from tierstore.stores.state.store import StateStore

ON_BOTH_FACES = (Asking, Call, Fact, StateField, StateService, Storing)
"""What the blocking face offers as it is here."""

__all__ = [
    "ABSENT",
    "DEFAULT",
    "KEEP",
    "Absent",
    "Default",
    "Entry",
    "Fact",
    "Keep",
    "StateChange",
    "StateExport",
    "StateField",
    "StateImport",
    "StateRekey",
    "StateService",
    "StateStatistics",
    "StateStore",
]
