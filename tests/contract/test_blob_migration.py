"""Moving content between rows and the object store: on both engines and faces, while others read, register and sweep."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import tierstore
from tests.contract.schema_stores import Opened
from tests.contract.test_sweep import OBJECT, ROW, content_of, objects, registered, shared  # noqa: F401
from tierstore import UnsupportedError, ValidationError
from tierstore.cli.app import cli
from tierstore.store import parts_of


async def chunks(opened: Opened) -> int:
    parts = parts_of(opened.store)
    rows = await parts.records.fetch(
        "blobs.not_in_object", {"after": "", "min_size": 0, "limit": 500}, deadline=parts.runtime.deadline(10)
    )
    return len(rows)


async def all_read(opened: Opened, made: list[tierstore.Schema], size: int) -> None:
    parts_of(opened.store).blobs._cache.clear()
    for number, schema in enumerate(made):
        found = await opened.store.schemas.get(schema.id, read="latest")
        assert bytes(found.content) == content_of(number, size)


def test_content_moves_there_and_back(shared: Opened) -> None:  # noqa: F811
    async def scenario() -> None:
        blobs, seen = shared.store.blobs, []
        made = await registered(shared, 3, OBJECT)
        size = made[0].content_size * 3
        plan = await blobs.migrate("row", dry_run=True)
        assert (plan.contents, plan.bytes, plan.moved, len(await objects(shared))) == (3, size, 0, 3)
        moved = await blobs.migrate("row", progress=lambda done, total: seen.append((done, total)))
        assert (moved.moved, moved.moved_bytes, moved.failed, moved.next) == (3, size, 0, None)
        assert seen == [(1, 3), (2, 3), (3, 3)]
        assert (await objects(shared), await chunks(shared)) == (set(), 3)
        await all_read(shared, made, OBJECT)
        assert (await blobs.migrate("row")).contents == 0
        back = await blobs.migrate("object")
        assert (back.moved, len(await objects(shared)), await chunks(shared)) == (3, 3, 0)
        await all_read(shared, made, OBJECT)
        report = await blobs.verify()
        assert (report.damaged, report.missing) == ((), ())

    shared.face.run(scenario)


def test_what_is_small_stays_unless_it_is_asked_for(shared: Opened) -> None:  # noqa: F811
    async def scenario() -> None:
        blobs = shared.store.blobs
        made = await registered(shared, 2, ROW)
        assert (await blobs.migrate("object")).contents == 0
        assert (await blobs.migrate("object", min_size=0)).moved == 2
        await all_read(shared, made, ROW)
        again = await registered(shared, 2, ROW)
        assert [one.id for one in again] == [one.id for one in made]
        for wrong in ({"to": "tape"}, {"to": "row", "min_size": -1}, {"to": "row", "after": 5}):
            with pytest.raises(ValidationError):
                await blobs.migrate(**wrong)

    shared.face.run(scenario)


def test_what_cannot_be_read_stays_and_is_counted(shared: Opened) -> None:  # noqa: F811
    async def scenario() -> None:
        made = await registered(shared, 2, OBJECT)
        parts = parts_of(shared.store)
        await parts._backends.blobs.delete(made[0].content_digest, deadline=parts.runtime.deadline(10))
        report = await shared.store.blobs.migrate("row")
        assert (report.contents, report.moved, report.failed) == (2, 1, 1)

    shared.face.run(scenario)


def test_without_an_object_store_there_is_nowhere_to_move_to(database) -> None:
    config = tierstore.Config(postgres=tierstore.PostgresConfig(database))
    with tierstore.blocking.open(config) as store, pytest.raises(UnsupportedError, match="ObjectConfig"):
        store.blobs.migrate("object")


def test_nothing_is_lost_while_all_move_register_and_sweep_at_once(tmp_path: Path) -> None:
    folder, wrong, until = tmp_path / "store", [], time.monotonic() + 4
    with tierstore.blocking.open(folder) as store:
        made = [store.schemas.register("s", f"{n}.0.0", content_of(n, OBJECT // 2)) for n in range(4)]

        def run(work) -> None:
            chance = random.Random(work.__name__)
            while time.monotonic() < until and not wrong:
                try:
                    work(chance)
                except Exception as error:
                    wrong.append(error)

        def move(chance) -> None:
            store.blobs.migrate(chance.choice(["row", "object"]), min_size=0, timeout=60)

        def move_too(chance) -> None:
            move(chance)

        def register(chance) -> None:
            number = chance.randrange(4)
            again = store.schemas.register("s", f"{number}.0.0", content_of(number, OBJECT // 2), timeout=60)
            parts_of(store._inner).blobs._cache.clear()
            assert bytes(store.schemas.get(again.id, read="latest").content) == content_of(number, OBJECT // 2)

        def sweep(_chance) -> None:
            store.blobs.sweep(dry_run=False, grace=1, max_share=1, timeout=60)

        threads = [threading.Thread(target=run, args=(work,)) for work in (move, move_too, register, sweep)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        parts_of(store._inner).blobs._cache.clear()
        for number, schema in enumerate(made):
            assert bytes(store.schemas.get(schema.id, read="latest").content) == content_of(number, OBJECT // 2)


MOVER = """
import sys, tierstore
with tierstore.blocking.open(sys.argv[1]) as store:
    while True:
        for to in ("row", "object"):
            store.blobs.migrate(to, min_size=0, timeout=60)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path, s3_server, bucket: str) -> Path:
    """A file of settings."""
    file = tmp_path / "store.toml"
    if request.param == "sqlite":
        file.write_text(f'[storage]\npath = "{tmp_path / "store"}"\n')
    else:
        url, s3 = request.getfixturevalue("database"), s3_server.config(bucket)
        keys = f'access_key = "{s3.access_key}"\nsecret_key = "{s3.secret_key}"\nendpoint_url = "{s3.endpoint_url}"'
        file.write_text(f'[storage.backend]\nurl = "{url}"\n[storage.s3]\nbucket = "{bucket}"\n{keys}\n')
    return file


def test_a_mover_that_is_killed_loses_nothing_and_the_next_one_ends_it(address: Path) -> None:
    config, chance = tierstore.Config.from_toml(address), random.Random(3)
    code = MOVER.replace("open(sys.argv[1])", "open(tierstore.Config.from_toml(sys.argv[1]))")
    with tierstore.blocking.open(config) as store:
        made = [store.schemas.register("s", f"{n}.0.0", content_of(n, OBJECT)) for n in range(4)]
        for _ in range(3):
            mover = subprocess.Popen([sys.executable, "-c", code, str(address)], stderr=subprocess.PIPE)
            time.sleep(1.5 + chance.random())
            mover.kill()
            said = mover.communicate()
            assert mover.returncode == -signal.SIGKILL, said
            parts_of(store._inner).blobs._cache.clear()
            for number, schema in enumerate(made):
                assert bytes(store.schemas.get(schema.id, read="latest").content) == content_of(number, OBJECT)
        store.blobs.migrate("object", min_size=0, timeout=60)
        assert store.blobs.migrate("object", min_size=0, dry_run=True).contents == 0
        report = store.blobs.verify(timeout=60)
        assert (report.checked, report.damaged, report.missing) == (4, (), ())


def test_the_command_asks_first_and_answers_machines(tmp_path: Path) -> None:
    folder = str(tmp_path / "store")
    with tierstore.blocking.open(folder) as store:
        made = store.schemas.register("s", "1.0.0", content_of(1, OBJECT))
    command = ["--path", folder, "blobs", "migrate", "--to", "row"]
    unasked = CliRunner().invoke(cli, command)
    assert (unasked.exit_code, "1 contents" in unasked.output) == (2, True), unasked.output
    planned = json.loads(CliRunner().invoke(cli, ["--json", *command, "--dry-run"]).stdout)["migrate"]
    moved = json.loads(CliRunner().invoke(cli, ["--json", *command, "--yes"]).stdout)["migrate"]
    assert (planned["contents"], planned["moved"], moved["moved"], moved["failed"]) == (1, 0, 1, 0)
    with tierstore.blocking.open(folder) as store:
        assert bytes(store.schemas.get(made.id).content) == content_of(1, OBJECT)
    assert CliRunner().invoke(cli, ["--path", folder, "blobs", "migrate", "--to", "tape"]).exit_code == 2
