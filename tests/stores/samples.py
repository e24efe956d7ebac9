"""For each store of the roster: arguments with which every public call can be made. A store that joins gets its entry here.

`prepare(store, folder)` makes what the calls need and answers, by the name of each call, its arguments. Calls that answer a page have at
least two items; calls with an idempotency key answer the same when they are made again.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tierstore.calls.store import BaseStore
from tierstore.store import Store

CONTENT = b'{"type": "object"}'


class Call(NamedTuple):
    """Positional and named arguments; `other`: named ones that ask an idempotent call for something else."""

    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] = {}
    other: Mapping[str, Any] = {}


Prepare = Callable[[Store, Path], Awaitable[dict[str, Call]]]


def calls_of(store: type[BaseStore[Any]]) -> dict[str, inspect.Signature]:
    """The public calls of a store, by name."""
    members = inspect.getmembers(store, inspect.iscoroutinefunction)
    return {name: inspect.signature(member) for name, member in members if not name.startswith(("_", "hit_"))}


async def _schemas(store: Store, folder: Path) -> dict[str, Call]:
    subject, new, path = f"s.{uuid.uuid4().hex}", f"n.{uuid.uuid4().hex}", folder / f"{uuid.uuid4().hex}.jsonl"
    schemas = store.schemas
    one, two, gone, doomed, moved = [
        await schemas.register(subject, f"{number}.0.0", CONTENT, schema_type="jsonschema") for number in range(5)
    ]
    await schemas.delete(gone.id)
    await schemas.export(path)
    return {
        "register": Call((new, "1.0.0", CONTENT), other={"schema_type": "jsonschema"}),
        "register_many": Call(([{"subject": f"{new}.many", "version": "1.0.0", "content": CONTENT}],)),
        "set_state": Call((moved.id, "deprecated")),
        "delete": Call((doomed.id,)),
        "restore": Call((gone.id,)),
        "purge": Call((doomed.id,)),
        "get": Call((one.id,)),
        "get_version": Call((subject, "0.0.0")),
        "get_latest": Call((subject,)),
        "get_many": Call(([one.id, two.id],)),
        "get_latest_many": Call(([subject],)),
        "list": Call((subject,)),
        "subjects": Call(()),
        "search": Call((), {"subject": subject}),
        "statistics": Call(),
        "popular": Call(),
        "warm": Call(),
        "presign": Call((one.id,)),
        "export": Call((folder / f"{uuid.uuid4().hex}.jsonl",)),
        "import_": Call((path,)),
    }


async def _state(store: Store, folder: Path) -> dict[str, Call]:
    prefix, path = uuid.uuid4().hex, folder / f"{uuid.uuid4().hex}.jsonl"
    state = store.state
    await state.set_many({f"{prefix}:{number}": number for number in range(5)})
    await state.export(path, prefix=prefix)
    one, two, three = (f"{prefix}:{number}" for number in range(3))
    return {
        "set": Call((one, {"a": [1, None]})),
        "add": Call((f"{prefix}:new", 1)),
        "get": Call((one,)),
        "get_entry": Call((one,)),
        "get_many": Call(([one, two],)),
        "exists": Call((one,)),
        "ttl": Call((one,)),
        "touch": Call((one, 60)),
        "persist": Call((one,)),
        "pop": Call((two,)),
        "delete": Call((three,)),
        "delete_many": Call(([two, three],)),
        "delete_prefix": Call((f"{prefix}:4",)),
        "increment": Call((f"{prefix}:count", 2)),
        "compare_and_set": Call((one, 0, 1)),
        "update": Call((one, lambda value: value)),
        "set_many": Call(({one: 1, two: 2},)),
        "keys": Call((prefix,)),
        "export": Call((folder / f"{uuid.uuid4().hex}.jsonl",)),
        "import_": Call((path,)),
        "rekey": Call((prefix,)),
        "ping": Call(),
        "statistics": Call(),
        "warm": Call(),
    }


async def _modules(store: Store, folder: Path) -> dict[str, Call]:
    name, other, doomed = (f"m.{uuid.uuid4().hex}" for _ in range(3))
    modules, files = store.modules, {"a.proto": b"// a", "b/c.proto": b""}
    for each in (name, other, doomed):
        await modules.create(each)
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        await modules.create_version(name, version, files, state="published")
    for version in ("3.0.0", "4.0.0", "5.0.0"):
        await modules.create_version(name, version, files)
    await modules.deprecate(name, "2.0.0", "old")
    tree = folder / uuid.uuid4().hex
    (tree / "billing").mkdir(parents=True)
    (tree / "billing" / "a.proto").write_bytes(b"")
    return {
        "create": Call((f"n.{uuid.uuid4().hex}",)),
        "update": Call((name,), {"description": "described"}),
        "delete": Call((doomed,)),
        "create_version": Call((other, "1.0.0", files)),
        "update_version": Call((name, "1.0.0"), {"tags": ["a"]}),
        "delete_version": Call((name, "4.0.0")),
        "put_file": Call((name, "3.0.0", "d.proto", CONTENT)),
        "remove_file": Call((name, "3.0.0", "a.proto")),
        "publish": Call((name, "5.0.0")),
        "deprecate": Call((name, "1.1.0", "old"), {"replaced_by": "2.0.0"}),
        "undeprecate": Call((name, "2.0.0")),
        "archive": Call((name, "1.0.0")),
        "get": Call((name,)),
        "get_version": Call((name, "1.0.0")),
        "get_latest": Call((name,)),
        "get_file": Call((name, "1.0.0", "a.proto")),
        "get_files": Call((name, "1.0.0")),
        "list": Call((), {"prefix": "m."}),
        "list_versions": Call((name,)),
        "dependencies": Call((name, "1.0.0"), {"transitive": True}),
        "dependents": Call((name,)),
        "impact": Call((name, "1.0.0")),
        "cycles": Call(),
        "graph": Call((name,), {"depth": 1}),
        "audit": Call((name,)),
        "changelog": Call((name, "1.1.0")),
        "check_compatibility": Call((name, "1.0.0", "1.1.0")),
        "export": Call((name, "1.0.0", folder / f"{uuid.uuid4().hex}.zip")),
        "import_tree": Call((tree,), {"name": f"n.{uuid.uuid4().hex}", "version": "1.0.0"}),
        "import_forest": Call((tree,), {"version": "1.0.0", "prefix": f"{uuid.uuid4().hex}/"}),
        "statistics": Call(),
        "warm": Call(),
    }


async def _notes(store: Store, folder: Path) -> dict[str, Call]:
    """Of the toy store, where it is planted."""
    notes: Any = getattr(store, "notes")  # noqa: B009  (the planted store is in no annotation here)
    prefix = uuid.uuid4().hex
    for number in range(3):
        await notes.put(f"{prefix}.{number}", "text")
    return {
        "put": Call((f"{prefix}.new", "text")),
        "get": Call((f"{prefix}.0",)),
        "list": Call((prefix,)),
        "warm": Call(),
        "statistics": Call(),
    }


PREPARE: dict[str, Prepare] = {"schemas": _schemas, "state": _state, "modules": _modules, "notes": _notes}
