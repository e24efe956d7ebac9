"""The two engines of `Records`, so that one suite runs on both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from tests.conftest import Face
from tests.servers.pgbouncer import PgBouncer
from tierstore.backends import Records
from tierstore.backends.postgres.records import PostgresRecords
from tierstore.backends.sqlite.records import SqliteRecords
from tierstore.runtime import Runtime
from tierstore.sql import Query, load_queries
from tierstore.sql.query import parse_query
from tierstore.tiers.migrate import Migrator

# What the suite itself asks, in PostgreSQL's form: `%(name)s` becomes `:name`; casts and schemas go.
QUERIES = {
    "suite.add_subject": "INSERT INTO {schema}.subjects (subject, row_version) VALUES (%(subject)s, %(version)s)",
    "suite.touch_subject": "UPDATE {schema}.subjects SET row_version = row_version + 1 WHERE subject = %(subject)s",
    "suite.subjects": "SELECT subject FROM {schema}.subjects ORDER BY subject",
    "suite.find": "SELECT subject, row_version FROM {schema}.subjects WHERE subject = %(subject)s",
    "suite.wrong": "SELECT nothing_of_that_name FROM {schema}.subjects",
    "suite.start_upload": "INSERT INTO {schema}.blob_uploads (upload_id, digest, size, created_at)"
    " VALUES (%(id)s::uuid, %(digest)s, %(size)s, {now})",
    "suite.uploads": "SELECT upload_id, digest, size FROM {schema}.blob_uploads",
    "suite.put_blob": "INSERT INTO {schema}.blobs (digest, size, tier, created_at, updated_at)"
    " VALUES (%(digest)s, %(size)s, 'row', {now}, {now})",
    "suite.put_chunk": "INSERT INTO {schema}.blob_chunks (digest, seq, bytes) VALUES (%(digest)s, %(seq)s, %(bytes)s)",
    "suite.damage_chunk": "UPDATE {schema}.blob_chunks SET bytes = %(bytes)s WHERE digest = %(digest)s AND seq = 0",
    "suite.chunks": "SELECT seq, bytes FROM {schema}.blob_chunks WHERE digest = %(digest)s ORDER BY seq",
    "suite.metadata": "SELECT metadata FROM {schema}.schemas WHERE id = %(id)s::uuid",
}
ONLY: dict[str, dict[str, str]] = {
    "sqlite": {
        "suite.fenced": "-- fenced\n-- columns: v.value + 1 AS as_of, v.value + 1 AS ceiling, s.subject, s.row_version\n"
        "SELECT {columns} FROM row_version AS v"
        " LEFT JOIN subjects AS s ON s.subject IN (SELECT value FROM json_each(:subjects))",
        "suite.slow": "-- slow\nWITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"
        " SELECT count(*) FROM n",
    },
    "postgres": {
        "suite.fenced": "-- fenced\n-- columns: pg_snapshot_xmin(n.now)::text::bigint AS as_of,\n"
        "--     pg_snapshot_xmax(n.now)::text::bigint AS ceiling, s.subject, s.row_version\n"
        "SELECT {columns} FROM (SELECT pg_current_snapshot() AS now) AS n"
        " LEFT JOIN {schema}.subjects AS s ON s.subject = ANY(%(subjects)s::text[])",
        "suite.slow": "SELECT count(*) FROM (SELECT pg_sleep(60)) AS s",
        "suite.running": "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%pg_sleep(60)%%'"
        " AND pid <> pg_backend_pid()",
        "suite.end_others": "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "suite.backend": "SELECT pg_backend_pid()",
        "suite.recovering": "SELECT pg_is_in_recovery()",
        "suite.isolate": "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "suite.count": "SELECT count(*) FROM {schema}.subjects",
    },
}


def queries_of(dialect: Literal["sqlite", "postgres"]) -> dict[str, Query]:
    now = "now()" if dialect == "postgres" else "0"
    shared = {name: text.replace("{now}", now) for name, text in QUERIES.items()}
    if dialect == "sqlite":
        shared = {
            name: re.sub(r"%\((\w+)\)s(::\w+)?", r":\1", text.replace("{schema}.", "")) for name, text in shared.items()
        }
    own = {name: parse_query(text, name, {}) for name, text in (shared | ONLY[dialect]).items()}
    return load_queries(dialect) | own


class Engine:
    """A database of the test's own, not yet migrated."""

    name: Literal["sqlite", "postgres"]

    def __init__(self, face: Face) -> None:
        self.face = face
        self.runtime = face.runtime()
        self._made: list[Records] = []

    def make(self, runtime: Runtime, **options: Any) -> Records:
        raise NotImplementedError

    def records(self, **options: Any) -> Records:
        """Opened, and closed after the test."""
        made = self.face.run(self._open, options)
        self._made.append(made)
        return made

    async def _open(self, options: dict[str, Any]) -> Records:
        records = self.make(self.runtime, **options)
        await records.open(self.runtime.deadline(10))
        return records

    def migrated(self, **options: Any) -> Records:
        records = self.records(**options)
        self.face.run(self.migrator(records).up)
        return records

    def migrator(self, records: Records, **options: Any) -> Migrator:
        return Migrator(records, budget=lambda: self.runtime.deadline(30), **options)

    def close_records(self) -> None:
        while self._made:
            self.face.run(self._made.pop().close, self.runtime.deadline(5))

    def close(self) -> None:
        self.close_records()
        self.face.run(self.runtime.close)


class SqliteEngine(Engine):
    name = "sqlite"

    def __init__(self, face: Face, folder: Path) -> None:
        super().__init__(face)
        self.path = folder / "data" / "tierstore.db"

    def make(self, runtime: Runtime, **options: Any) -> SqliteRecords:
        options.pop("max_connections", None)
        options.pop("acquire_timeout", None)
        return SqliteRecords(runtime, self.path, queries=queries_of("sqlite"), **options)


class PostgresEngine(Engine):
    """`url`: past any pooler."""

    name = "postgres"

    def __init__(self, face: Face, url: str) -> None:
        super().__init__(face)
        self.url = url

    def make(self, runtime: Runtime, **options: Any) -> PostgresRecords:
        options = {"max_connections": 10, "min_connections": 1, **options}
        return PostgresRecords(runtime, options.pop("url", self.url), queries=queries_of("postgres"), **options)


class PooledEngine(PostgresEngine):
    """The same database, used through PgBouncer in transaction mode."""

    def __init__(self, face: Face, url: str, pgbouncer: PgBouncer) -> None:
        super().__init__(face, url)
        self.through = pgbouncer.through

    def make(self, runtime: Runtime, **options: Any) -> PostgresRecords:
        replicas = tuple(map(self.through, options.pop("replicas", ())))
        return super().make(runtime, url=self.through(options.pop("url", self.url)), replicas=replicas, **options)
