"""The tests' own servers: each can be stopped, killed and paused, and runs again for the next test."""

from __future__ import annotations

import subprocess
import sys
import time

import psycopg
import pytest

from tests.servers import reaper
from tests.servers.process import Server


@pytest.fixture(params=["postgres", "redis_server", "s3_server"])
def server(request) -> Server:
    return request.getfixturevalue(request.param)


def test_a_stopped_server_answers_again_on_the_same_port(server):
    server.stop()
    assert not server.running
    server.start()
    assert server.ready()


def test_a_killed_server_answers_again(server):
    server.kill()
    assert not server.running
    server.start()
    assert server.ready()


def test_what_a_test_left_paused_or_dead_is_restored(server):
    server.pause()
    server.restore()
    assert server.ready()
    server.kill()
    server.restore()
    assert server.ready()


def test_the_replica_follows_and_is_made_anew_after_a_promotion(postgres, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS x")
    assert seen_by_replica(postgres.replica_of(database)) == [(7,)]
    postgres.replica.promote()
    postgres.restore()
    with psycopg.connect(postgres.replica_url) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


def seen_by_replica(url: str) -> list[tuple[int]]:
    for _ in range(500):
        try:
            with psycopg.connect(url) as connection:
                return connection.execute("SELECT x FROM t").fetchall()
        except psycopg.Error:
            time.sleep(0.01)
    return []


def test_a_database_is_the_tests_own(database):
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_the_reaper_ends_what_a_killed_run_left(tmp_path):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    folder = tmp_path / "data"
    folder.mkdir()
    lines = f"{folder}\n+{left.pid}\n+{2**22 + 1}\n-{2**22 + 1}\n"
    subprocess.run([sys.executable, "-I", "-S", reaper.__file__], input=lines, text=True, check=True, timeout=20)
    assert left.wait(10) == -9
    assert not folder.exists()
