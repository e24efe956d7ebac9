"""What the schema store decides without I/O: its states, and what of a content its database can query."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Literal

import orjson

from tierstore.plan.lifecycle import Lifecycle

SchemaState = Literal["draft", "active", "deprecated", "disabled", "archived"]
"""The states of a schema: `set_state` says which moves there are."""
SchemaStates = Sequence[SchemaState] | AbstractSet[SchemaState]
"""Some of them, in any order."""
LIFECYCLE: Final = Lifecycle[SchemaState](
    "schema",
    {
        "draft": ("active", "archived"),
        "active": ("deprecated", "disabled", "archived"),
        "deprecated": ("active", "disabled", "archived"),
        "disabled": ("active", "archived"),
        "archived": (),
    },
)
LATEST_STATES: tuple[SchemaState, ...] = ("active", "deprecated")
"""The states that "latest" considers by default."""
PROJECTED_BYTES = 8 * 1024
"""Content up to here is projected into the `content` column, whose GIN index grows with it."""


def projection(schema_type: str, content: bytes) -> str:
    """The JSON of the `content` column: the document where it is JSON, small, and JSONB can hold it; else `{}`. Never read back."""
    if schema_type == "protobuf" or len(content) > PROJECTED_BYTES:
        return "{}"
    try:
        text = orjson.dumps(orjson.loads(content))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return "{}"
    return "{}" if b"\\u0000" in text else text.decode()
