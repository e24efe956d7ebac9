"""PgBouncer before a PostgreSQL of these tests, in transaction mode, as an ordinary user on a free port."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.servers.process import Server, free_port, ordinary_user
from tests.servers.programs import pgbouncer_program

LINKS = 8
"""Connections to the server that it shares among the clients of one database."""


class PgBouncer(Server):
    """Leads to every database of the server at `url`, by the user and password of that address."""

    name = "pgbouncer"

    def __init__(self, url: str, *, links: int = LINKS) -> None:
        self.user = ordinary_user("postgres", "nobody")
        super().__init__()
        if self.user is not None:
            self.folder.chmod(0o711)
        self.port = free_port()
        self._server = urlsplit(url)
        self._written("users", f'"{self._server.username}" "{self._server.password}"\n')
        self._written("ini", self._settings(links))

    def _written(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)

    def _settings(self, links: int) -> str:
        lines = [
            "[databases]",
            f"* = host={self._server.hostname} port={self._server.port}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = plain",
            f"auth_file = {self.folder}/users",
            "pool_mode = transaction",
            f"default_pool_size = {links}",
            "max_client_conn = 500",
            "server_idle_timeout = 5",
        ]
        return "\n".join(lines) + "\n"

    def command(self) -> list[str]:
        return [str(pgbouncer_program()), str(self.folder / "ini")]

    def ready(self) -> bool:
        try:
            psycopg.connect(self.through(urlunsplit(self._server)), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def through(self, url: str) -> str:
        """The address of the same database, by this pooler."""
        parts = urlsplit(url)
        user = f"{parts.username}:{parts.password}@"
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.port}"))
