"""`tierstore state` as a person and a script use it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.facade.test_cli import Cli
from tierstore.cli.app import cli as program


class Here(Cli):
    """Runs commands in this process, which takes a tenth of the time."""

    def __call__(self, *arguments, code=0, input=None):
        done = CliRunner().invoke(program, [*self._options, *arguments], env=self._environment, input=input)
        assert done.exit_code == code, (done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *arguments, code=0):
        return json.loads(Here("--json", *self._options, **self._environment)(*arguments, code=code))


@pytest.fixture
def cli(tmp_path):
    made = Here("--path", str(tmp_path / "store"))
    made("migrate", "up")
    return made


def test_set_get_ttl_keys_delete(cli):
    assert cli("state", "set", "a:1", '{"n": [9223372036854775807, 1.0, null]}', "--ttl", "2m").startswith("etag")
    assert cli("state", "get", "a:1") == '{"n":[9223372036854775807,1.0,null]}\n'
    entry = cli.json("state", "get", "a:1")["entry"]
    assert (entry["key"], entry["value"]) == ("a:1", {"n": [2**63 - 1, 1.0, None]})
    assert 100 < cli.json("state", "ttl", "a:1")["ttl"]["seconds"] <= 120
    cli("state", "set", "a:2", "plain words", "--text", "--no-end")
    assert cli("state", "get", "a:2") == '"plain words"\n'
    assert "never ends" in cli("state", "ttl", "a:2")
    assert cli.json("state", "ttl", "a:2")["ttl"]["seconds"] is None
    assert sorted(cli("state", "keys", "a:").split()) == ["a:1", "a:2"]
    assert len(cli.json("state", "keys", "--limit", "1")["keys"]) == 1
    assert cli.json("state", "delete", "a:1", "b")["delete"]["deleted"] == 1
    assert "there is no value" in cli("state", "get", "a:1", code=1)
    assert "there is no value" in cli("state", "ttl", "a:1", code=1)


def test_bytes_come_back_as_they_are(cli, tmp_path):
    (tmp_path / "content").write_bytes(b"\x00\xff\n")
    cli("state", "set", "raw", "--file", str(tmp_path / "content"))
    assert cli.json("state", "get", "raw")["entry"]["base64"] == "AP8K"
    cli("state", "set", "raw", "--file", "-", input="typed")
    assert cli("state", "get", "raw") == "typed"


def test_what_cannot_be_is_told_and_changes_nothing(cli):
    cli("state", "set", "k", "1")
    for arguments, told in [
        (("state", "set", "k", "not json"), "VALUE is not JSON"),
        (("state", "set", "k", "1", "--ttl", "1s", "--no-end"), "either --ttl or --no-end"),
        (("state", "set", "k"), "either VALUE or --file"),
        (("state", "set", "k", "1", "--ttl", "-5"), "not a duration"),
    ]:
        assert told in cli(*arguments, code=2)
    assert "64 bits" in cli("state", "set", "k", str(2**63), code=1)
    assert "there is a value already" in cli("state", "set", "k", "2", "--if-absent", code=1)
    assert cli("state", "get", "k") == "1\n"


@pytest.mark.requirement("S3-33")
def test_an_export_moves_state_from_one_backend_to_another(cli, tmp_path, database, redis_server):
    redis_server.flush()
    file = str(tmp_path / "state.jsonl")
    for number in range(3):
        cli("state", "set", f"m:{number}", str(number), "--ttl", "1h")
    cli("state", "set", "m:raw", "--file", "-", "--no-end", input="\x00raw")
    cli("state", "set", "other", "1")
    assert cli.json("state", "export", file, "--prefix", "m:")["export"] == {"exported": 4, "unreadable": 0}
    assert Path(file).stat().st_mode & 0o077 == 0
    valkey = {"POLLY_STORAGE_TYPE": "valkey", "POLLY_VALKEY_ADDRESS": redis_server.url}
    on_redis, on_postgres = Here("--path", str(tmp_path / "there"), **valkey), Here(DATABASE_URL=database)
    for there in (on_redis, on_postgres):
        assert there.json("state", "import", file)["import"] == {"stored": 4, "skipped": 0, "ended": 0}
        assert there("state", "get", "m:2") == "2\n"
        assert there("state", "get", "m:raw") == "\x00raw"
        assert 3_500 < there.json("state", "ttl", "m:1")["ttl"]["seconds"] <= 3_600
        assert there.json("state", "ttl", "m:raw")["ttl"]["seconds"] is None
        assert there.json("state", "import", file, "--existing", "skip")["import"]["skipped"] == 4
        assert there.json("state", "export", file)["export"] == {"exported": 4, "unreadable": 0}  # and on from there
    assert "absent" in on_redis("state", "import", str(tmp_path / "absent"), code=1)


def test_watch_prints_changes_until_it_is_interrupted(cli):
    command = [sys.executable, "-m", "tierstore.cli", *cli._options, "--json", "state", "watch", "w:"]
    with subprocess.Popen(command, env=os.environ | cli._environment, stdout=subprocess.PIPE, text=True) as watching:
        seen = None
        while seen is None:  # nothing says from outside that the watch has begun
            cli("state", "set", "w:1", "1")
            cli("state", "delete", "w:1")
            os.set_blocking(watching.stdout.fileno(), False)
            seen = watching.stdout.readline() or None
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=60) == 130
    change = json.loads(seen)
    assert change["key"] == "w:1"
    assert change["kind"] in ("set", "delete")


def test_watch_ends_when_nothing_comes(cli):
    assert cli("state", "watch", "w:", "--for", "0.2s") == ""


def test_values_that_do_not_open_end_an_export_with_an_error(tmp_path):
    config = tmp_path / "sealed.toml"
    config.write_text(
        f'[storage]\npath = "{tmp_path}/store"\n[storage.state.encryption]\nactive = "a"\n'
        f'keys = {{ a = "{base64.b64encode(bytes(32)).decode()}" }}\n'
    )
    sealing, plain = Here("--config", str(config)), Here("--path", str(tmp_path / "store"))
    sealing("state", "set", "secret:1", "1")
    plain("state", "set", "plain:1", "2")
    told = plain("state", "export", str(tmp_path / "x.jsonl"), code=1)
    assert "unreadable  1" in told
    assert "secret:*" in told
    assert sealing.json("state", "rekey")["rekey"] == {"checked": 2, "sealed": 1, "unreadable": 0}
    assert sealing("state", "get", "plain:1").strip() == "2"
    assert sealing.json("state", "export", str(tmp_path / "x.jsonl"))["export"]["exported"] == 2
