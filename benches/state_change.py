"""Where PostgreSQL's time goes when a state changes: its CPU time a row, with ever fewer indexes.

`make bench BENCH=state_change`. One connection, ROWS_A_STATEMENT in each transaction, as shared writes are; Linux only (schedstat).
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import orjson
import psycopg

import tierstore
from benches import _machine
from benches.targets import seed
from tests.servers.fleet import Fleet
from tierstore import Config, PostgresConfig
from tierstore.sql import load_queries, qualified
from tierstore.stores.schemas.edit import change_of_state

SCHEMAS, ROWS_A_STATEMENT = 6_000, 50
DROPPED = ("content", "metadata", "tags", "latest", "active", "state")
"""Indexes, one after the other; what is measured is without all that came before, too."""


async def seeded(url: str) -> list[str]:
    async with tierstore.open(Config(postgres=PostgresConfig(url))) as store:
        return await seed(store, SCHEMAS)


class Changing:
    """A connection that changes the state of every schema, back and forth."""

    def __init__(self, connection: psycopg.Connection, ids: list[str]) -> None:
        self._connection = connection
        self._ids = ids
        self._states = itertools.cycle(("deprecated", "active"))
        self._edit = qualified(
            load_queries("postgres")["schemas_write.edit"].text, schema="public", trgm="public"
        ).encode()
        self._usage = Path(f"/proc/{connection.info.backend_pid}/schedstat")

    def _used_us(self) -> float:
        return int(self._usage.read_text().split()[0]) / 1e3

    def row_us(self) -> float:
        """Microseconds of the server process a row, over both ways."""
        before = self._used_us()
        for state in itertools.islice(self._states, 2):
            for start in range(0, len(self._ids), ROWS_A_STATEMENT):
                ids = self._ids[start : start + ROWS_A_STATEMENT]
                edits = orjson.dumps([change_of_state(each, state, None, None)._asdict() for each in ids]).decode()
                self._connection.execute(self._edit, {"edits": edits, "patience": "0"})
        return (self._used_us() - before) / (2 * len(self._ids))


def main() -> None:
    fleet = Fleet()
    try:
        url = fleet.postgres.create_database()
        ids = asyncio.run(seeded(url))
        with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
            connection.execute("VACUUM ANALYZE")
            changing = Changing(connection, ids)
            changing.row_us()  # the first round finds pages that were never written since
            print(_machine.header())
            print(f"all indexes: {changing.row_us():.0f} us a row")
            for name in DROPPED:
                connection.execute(f"DROP INDEX idx_schemas_{name}".encode())
                print(f"without idx_schemas_{name}, too: {changing.row_us():.0f} us a row")
    finally:
        fleet.close()


if __name__ == "__main__":
    main()
