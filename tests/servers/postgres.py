"""PostgreSQL with one streaming replica, as docker-compose.yml runs it, on free ports and private folders."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.servers.process import POLL_S, Given, Server, free_port, ordinary_user
from tests.servers.programs import postgres_folder

USER, PASSWORD = "tierstore", "only-for-tests"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "hot_standby": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_keep_size": "256MB",
    "hot_standby_feedback": "on",
    "wal_retrieve_retry_interval": "200ms",
    "recovery_init_sync_method": "syncfs",  # after a crash: once, not once a file of each test's database
}
REPLICA_SETTINGS = {"fsync": "off", "checkpoint_timeout": "30s", "max_wal_size": "64MB"}
"""A killed replica replays all since its last restart point; these keep that short. It is a copy: a crash of the machine may cost it."""
CATCH_UP_S = 20
_numbers = itertools.count(1)


def with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


class _Node(Server):
    """One data folder with its port."""

    stop_signal = signal.SIGINT  # the "fast" shutdown: sessions are ended, data is written
    close_signal = signal.SIGQUIT  # the "immediate" one: nothing is written, which after a long run takes a minute
    settings = SETTINGS

    def __init__(self) -> None:
        self.user = ordinary_user("postgres", "nobody")
        super().__init__()
        self.port = free_port()
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        if self.user is not None:
            self.folder.chmod(0o711)
            os.chown(self.data, self.user.pw_uid, self.user.pw_gid)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        return [str(postgres_folder() / "postgres"), "-D", str(self.data), f"--port={self.port}", *settings]

    def ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _tool(self, name: str, *arguments: str, **environment: str) -> None:
        """Run one of PostgreSQL's own programs as the server's user."""
        identity = (
            {} if self.user is None else {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        )
        done = subprocess.run(
            [str(postgres_folder() / name), *arguments],
            env=os.environ | environment,
            cwd=self.data,
            capture_output=True,
            text=True,
            check=False,
            **identity,  # type: ignore[call-overload]
        )
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{done.stdout}{done.stderr}")


class Replica(_Node):
    """Follows its primary by streaming; read only until `promote`."""

    name = "postgres-replica"
    settings = SETTINGS | REPLICA_SETTINGS

    def __init__(self, primary: _Node) -> None:
        super().__init__()
        self._primary = primary
        self._promoted = False
        self._copy()

    def _copy(self) -> None:
        source = f"host=127.0.0.1 port={self._primary.port} user={USER} password={PASSWORD}"
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream"]
        self._tool("pg_basebackup", f"--dbname={source}", f"--pgdata={self.data}", *options)

    def promote(self) -> None:
        """Make it a primary of a new timeline; the next test gets a new replica."""
        self._promoted = True
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 30)")

    def restore(self) -> None:
        if self._promoted:
            self.kill()
            for path in self.data.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            self._copy()
            self._promoted = False
        super().restore()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_resume()")


class Postgres(_Node):
    """The primary. Its replica is made and started when first asked for."""

    name = "postgres"

    def __init__(self) -> None:
        super().__init__()
        self._replica: Replica | None = None
        self._lock = threading.Lock()
        secret = self.data / ".password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        secret = secret.rename(self.folder / "password")
        options = ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync", "--no-instructions"]
        self._tool("initdb", f"--pgdata={self.data}", f"--username={USER}", f"--pwfile={secret}", *options)

    @property
    def replica(self) -> Replica:
        with self._lock:
            if self._replica is None:
                replica = Replica(self)
                replica.start()
                self._replica = replica
            return self._replica

    @property
    def replica_url(self) -> str:
        return self.replica.url

    def restore(self) -> None:
        super().restore()
        if self._replica is not None:
            self._replica.restore()

    def close(self) -> None:
        if self._replica is not None:
            self._replica.close()
        super().close()

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        return create_database(self.url)

    def drop_database(self, url: str) -> None:
        drop_database(self.url, url)

    def replica_of(self, url: str) -> str:
        """The URL of the same database on the replica, which has replayed all that the primary wrote until now."""
        catch_up(self.url, self.replica_url)
        return with_database(self.replica_url, urlsplit(url).path[1:])


class GivenPostgres(Given):
    """The server of TIERSTORE_TEST_POSTGRES_URL, with the replica of TIERSTORE_TEST_POSTGRES_REPLICA_URL."""

    def __init__(self, url: str, replica_url: str | None) -> None:
        super().__init__("TIERSTORE_TEST_POSTGRES_URL")
        self.url = url
        self._replica_url = replica_url

    @property
    def replica_url(self) -> str:
        if self._replica_url is None:
            raise RuntimeError("this test needs a replica; set TIERSTORE_TEST_POSTGRES_REPLICA_URL too")
        return self._replica_url

    create_database = Postgres.create_database
    drop_database = Postgres.drop_database
    replica_of = Postgres.replica_of


def create_database(url: str) -> str:
    name = f"tierstore_test_{next(_numbers)}_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    return with_database(url, name)


def catch_up(primary_url: str, replica_url: str) -> None:
    """Wait until the replica has replayed what the primary has written."""
    with psycopg.connect(primary_url) as primary, psycopg.connect(replica_url, autocommit=True) as replica:
        written = primary.execute("SELECT pg_current_wal_lsn()").fetchone()
        until = time.monotonic() + CATCH_UP_S
        while replica.execute("SELECT pg_last_wal_replay_lsn() >= %s", written).fetchone() != (True,):
            if time.monotonic() > until:
                raise RuntimeError(f"the replica is behind {written} after {CATCH_UP_S} s")
            time.sleep(POLL_S)


def drop_database(admin_url: str, url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)".encode())
