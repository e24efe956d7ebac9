"""The command line as a person and a script use it: each command in a process of its own."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

import psycopg
import pytest

import tierstore

READING = (
    "blobs verify",
    "blobs sweep",
    "search",
    "stats",
    "health",
    "warm",
    "show a",
    "migrate status",
    "migrate down",
)
"""Commands that create nothing; the last one removes."""


class Cli:
    """Runs commands on one store."""

    def __init__(self, *options, **environment):
        self._options, self._environment = options, environment

    def config(self):
        """What the options and the environment name."""
        return tierstore.Config(self._options[1]) if self._options else tierstore.Config.from_env(self._environment)

    def __call__(self, *arguments, code=0, input=None):
        done = subprocess.run(
            [sys.executable, "-m", "tierstore.cli", *self._options, *arguments],
            env=os.environ | self._environment,
            capture_output=True,
            text=True,
            input=input,
            timeout=100,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *arguments, code=0):
        return json.loads(Cli("--json", *self._options, **self._environment)(*arguments, code=code))


def sqlite(request):
    return Cli("--path", str(request.getfixturevalue("tmp_path") / "store"))


def postgres(request):
    return Cli(DATABASE_URL=request.getfixturevalue("database"))


@pytest.fixture(params=[sqlite, postgres])
def cli(request):
    return request.param(request)


@pytest.fixture
def folder(tmp_path):
    """Four files that are right, two that are not, one that is none of ours."""
    found = tmp_path / "files"
    (found / "api").mkdir(parents=True)
    (found / "api" / "a.proto").write_text('syntax = "proto3";\nimport "api/b.proto";\nmessage A { B b = 1; }\n')
    (found / "api" / "b.proto").write_text('syntax = "proto3";\nmessage B {}\n')
    (found / "order.json").write_text('{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}')
    (found / "user.avsc").write_text('{"type": "record", "name": "User", "fields": []}')
    (found / "bad.json").write_text('{\n  "type": NaN\n}')
    (found / "bad.proto").write_text('syntax = "proto3";\nimport api;\n')
    (found / "readme.txt").write_text("not a schema")
    return found


@pytest.mark.requirement("S1-56", "S4-02")
def test_migrate_run_revert_info(cli):
    embedded = cli.config().path is not None
    assert ("there is no store in" if embedded else "no\n") in cli("migrate", "info", code=1)
    applied = [row["applied"] for row in cli.json("migrate", "run")["applied"]]
    assert applied[:3] == ["000_protocol", "001_initial_schema", "002_indexes_optimization"]
    assert "up to date" in cli("migrate", "up")
    assert all(row["applied"] for row in cli.json("migrate", "status")["migrations"])
    assert cli.json("migrate", "revert", "--yes")["reverted"]
    assert not cli.json("migrate", "status", code=1)["migrations"][-1]["applied"]


def test_import_show_search(cli, folder):
    first = cli.json("import", str(folder), "--tag", "team", code=1)
    assert (first["import"]["new"], first["import"]["refused"]) == (4, 2)
    why = {row["refused"]: row["why"] for row in first["refused"]}
    assert "line 2, column 11" in why["bad.json"]
    assert "line 2" in why["bad.proto"]
    again = cli.json("import", str(folder), code=1)
    assert (again["import"]["new"], again["import"]["changed"], again["import"]["unchanged"]) == (0, 0, 4)
    changed = 'syntax = "proto3";\nmessage B { int32 x = 1; }\n'
    (folder / "api" / "b.proto").write_text(changed)
    assert cli.json("import", str(folder), code=1)["import"]["changed"] == 1
    assert cli("show", "api/b.proto", "--content") == changed
    shown = cli.json("show", "api/b.proto")
    assert (shown["schema"]["version"], shown["schema"]["versions"]) == ("1.1.0", "1.1.0, 1.0.0")
    assert cli.json("show", "api/a.proto", "1.0.0")["imports"] == [
        {"import": "api/b.proto", "kind": "plain", "line": 2}
    ]
    assert cli.json("show", "order.json")["schema"]["type"] == "jsonschema"
    assert [row["subject"] for row in cli.json("search", "ordr")["hits"]] == ["order.json"]
    assert len(cli.json("search", "--tag", "team", "--type", "protobuf")["hits"]) == 2
    assert "no schema nothing" in cli("show", "nothing", code=1)


@pytest.mark.requirement("S1-67", "S1-10")
def test_health_stats_warm(cli, folder):
    cli("import", str(folder), code=1)
    assert all(row["ok"] for row in cli.json("health")["tiers"])
    assert cli.json("stats")["schemas"]["total_schemas"] == 4
    assert cli.json("warm", "--limit", "5")["warm"]["loaded"] >= 0


@pytest.mark.requirement("S1-70")
def test_load_test(cli):
    rows = {
        row["operation"]: row for row in cli.json("load-test", "--duration", "1s", "--concurrency", "20")["operations"]
    }
    assert set(rows) == {"get", "get_latest", "set_state"}
    assert all(row["calls/s"] > 0 and row["errors"] == 0 and row["p99 ms"] >= row["p50 ms"] for row in rows.values())


def test_demo(tmp_path):
    shown = Cli("--path", str(tmp_path / "demo")).json("demo")
    assert shown["import"]["new"] > 90
    assert shown["import"]["refused"] == 0
    assert {row["tier"] for row in shown["rates"]} == {"L1", "database"}
    assert all(row["reads/s"] > 0 for row in shown["rates"])
    assert "google/api/http.proto" in {row["import"] for row in shown["imports"]}
    assert (
        sum(size for name, size in shown["totals"].items() if name.startswith("bytes in"))
        == shown["totals"]["content bytes"]
    )


def test_a_pipe_gets_plain_lines(tmp_path):
    cli = Cli("--path", str(tmp_path))
    cli("migrate", "up")
    lines = cli("health").splitlines()
    assert lines[0].split("\t") == ["tier", "ok", "latency ms", "detail"]
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "expected"),
    [
        (["stats"], {}, 1, "no store is named; give --path FOLDER"),
        (["--config", "absent.toml", "demo"], {}, 1, "absent.toml cannot be read"),
        (["stats"], {"DATABASE_URL": "postgresql://u:secret@127.0.0.1:9/none"}, 1, "127.0.0.1"),
        (["stats"], {"DATABASE_URL": "mysql://u:secret@h/db"}, 1, "postgresql://"),
        *(
            (["--path", "x", "load-test", "--duration", bad], {}, 2, "is not a duration")
            for bad in ("soon", "0", "-3s", "nan")
        ),
        *(([*command.split(), "--path", "x"], {}, 1, "/x; check the path") for command in READING),
        (["--path", "x", "import", "/does/not/exist"], {}, 2, "does not exist"),
    ],
)
def test_misuse_is_one_clear_line(tmp_path, arguments, environment, code, expected, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = Cli(**environment)(*arguments, code=code)
    assert expected in text
    assert "secret" not in text
    assert "Traceback" not in text
    assert code == 2 or len(text.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_stores_options_may_stand_behind_the_command(tmp_path):
    Cli()("migrate", "up", "--path", str(tmp_path))
    behind = json.loads(Cli()("stats", "--path", str(tmp_path), "--json"))
    assert behind["schemas"] == Cli("--path", str(tmp_path)).json("stats")["schemas"]
    text = Cli()("stats", "--help")
    assert all(option in text for option in ("--path", "--config", "--json"))


def test_an_import_goes_on_past_what_cannot_be_taken(cli, tmp_path):
    """Names that are no subjects, a file that is too large, one that went away, a version that was deleted."""
    found = tmp_path / "files"
    (found / ("d" * 200)).mkdir(parents=True)
    for name in (b"kept.json", b"line\nbreak.json", b"bad\xff.json", b"d" * 200 + b"/" + b"e" * 100 + b".json"):
        (found / os.fsdecode(name)).write_text('"first"')
    with (found / "large.json").open("wb") as file:
        file.truncate(256 * 1024 * 1024 + 1)
    first = cli.json("import", str(found), code=1)
    assert (first["import"]["new"], first["import"]["refused"]) == (1, 4)
    why = {row["refused"]: row["why"] for row in first["refused"]}
    assert "at most" in why["large.json"]
    assert {"line\\nbreak.json", "bad\\udcff.json"} <= set(why)
    with tierstore.blocking.open(cli.config()) as store:
        store.schemas.delete(store.schemas.get_latest("kept.json").id)
    (found / "kept.json").write_text('"second"')
    assert cli.json("import", str(found), code=1)["import"]["changed"] == 1
    assert cli("show", "kept.json", "1.1.0", "--content") == '"second"'
    assert len(cli("import", str(found), code=1).splitlines()) == 11


def test_what_is_stored_cannot_command_a_terminal(tmp_path):
    subject = "[red]x[/nothing].proto"
    file = tmp_path / "files" / subject
    file.parent.mkdir(parents=True)
    file.write_text('// \x1b]0;title\x07\nsyntax = "proto3";\n')
    cli = Cli("--path", str(tmp_path / "store"), FORCE_COLOR="1", TERM="xterm", COLUMNS="200")
    cli("import", str(tmp_path / "files"))
    assert subject in cli("search", "nothing")
    shown = cli("show", subject)
    assert "\\x1b]0;title" in shown
    assert "\x1b]0" not in shown


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_interrupted_import_goes_on_from_there(tmp_path, options):
    """Ctrl-C while batches are on their way: what was committed stays, and the same command brings the rest."""
    found, total = tmp_path / "files", 3_000
    found.mkdir()
    for number in range(total):
        (found / f"{number}.json").write_text(f"[{number}]" + " " * 5_000)
    command = [sys.executable, "-c", INTERRUPTIBLE, "--path", str(tmp_path / "store"), *options, "import", str(found)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    database = tmp_path / "store" / "tierstore.db-wal"
    while running.poll() is None and not (database.exists() and database.stat().st_size > 1_000_000):
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    cli = Cli("--path", str(tmp_path / "store"))
    kept = cli.json("stats")["schemas"]["total_schemas"]
    if running.returncode:  # else it was done before the signal came
        assert running.returncode == 130
        assert "continues from there" in errors
        assert "Traceback" not in errors
    again = cli.json("import", str(found))["import"]
    assert (again["new"], again["unchanged"]) == (total - kept, kept)


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
from tierstore.cli import main
main()
"""


def test_help_names_every_command():
    text = Cli()("--help")
    for command in ("demo", "import", "show", "search", "migrate", "warm", "health", "stats", "load-test"):
        assert f"\n  {command} " in text


def held(folder):
    """What an embedded store's folder holds, but for what SQLite keeps while it is open."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))


@pytest.mark.parametrize("command", READING[:-1])
def test_a_command_that_reads_applies_no_migration_and_creates_nothing(tmp_path, command):
    folder = tmp_path / "store"
    cli = Cli("--path", str(folder))
    cli("migrate", "up")
    cli("migrate", "down", "--yes")
    before = held(folder), cli("migrate", "status", code=1)
    text = cli(*command.split(), code=1)
    assert command == "migrate status" or ("lacks migration" in text and "tierstore migrate up" in text)
    assert (held(folder), cli("migrate", "status", code=1)) == before
    cli("migrate", "up")
    before = held(folder)
    cli(*command.split(), code=1 if command == "show a" else 0)
    assert held(folder) == before


@pytest.mark.parametrize("command", READING[:-1])
def test_a_command_that_reads_makes_no_table(database, command):
    Cli(DATABASE_URL=database, DATABASE_SCHEMA="team")(*command.split(), code=1)
    Cli(DATABASE_URL=database)(*command.split(), code=1)
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT relname FROM pg_class WHERE relname ~ 'schemas|tierstore'").fetchall()
        assert tables == []
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'team'").fetchall() == []


def test_no_command_works_in_memory(tmp_path):
    environment = {"DATABASE_URL": "postgresql://127.0.0.1:9/none", "TIERSTORE_ON_UNAVAILABLE": "memory"}
    for command in ("stats", "migrate up", f"import {tmp_path}"):
        assert "127.0.0.1" in Cli(**environment)(*command.split(), code=1)


def test_a_revert_without_a_terminal_needs_yes(cli):
    cli("migrate", "up")
    names = [row["migration"] for row in cli.json("migrate", "status")["migrations"]]
    refused = cli("migrate", "down", "--steps", "2", code=2, input="y\n")
    assert "tierstore migrate down --steps 2 --yes" in refused
    assert all(name in refused for name in names[-2:])
    assert names[0] not in refused
    assert all(row["applied"] for row in cli.json("migrate", "status")["migrations"])
    done = cli.json("migrate", "down", "--steps", "99", "--yes")
    assert [row["reverted"] for row in done["reverted"]] == names[::-1]
    assert cli.json("migrate", "down", "--yes") == {"reverted": []}


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_revert_at_a_terminal_asks(tmp_path, answer, code, options):
    cli = Cli("--path", str(tmp_path / "store"))
    cli("migrate", "up")
    last = cli.json("migrate", "status")["migrations"][-1]["migration"]
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "tierstore.cli", "--path", str(tmp_path / "store"), *options, "migrate", "down"]
    os.write(terminal, f"{answer}\n".encode())
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60)
    os.close(terminal)
    os.close(theirs)
    assert done.returncode == code, done.stderr
    assert last in done.stderr
    if options and code == 0:
        assert json.loads(done.stdout) == {"reverted": [{"reverted": last}]}
    assert all(row["applied"] for row in cli.json("migrate", "status", code=1 - code)["migrations"]) == (code == 1)


def test_blobs_are_verified_and_swept(tmp_path):
    folder = tmp_path / "store"
    cli = Cli("--path", str(folder))
    with tierstore.blocking.open(folder) as store:
        made = [store.schemas.register("a", f"{n}.0.0", b'"' + bytes([65 + n]) * 2_000_000 + b'"') for n in range(3)]
        store.schemas.delete(made[0].id)
        store.schemas.purge(made[0].id)
        store.schemas.register("b", "1.0.0", b'"' + b"z" * 100_000 + b'"')
    objects = sorted((folder / "objects" / "sha256").glob("*/*"))
    assert len(objects) == 3
    time.sleep(1.1)  # the uploads of above are forgotten after the grace period
    shown = cli.json("blobs", "sweep", "--dry-run", "--grace", "1s")["sweep"]
    assert (shown["contents"], shown["unused"], shown["marked"], shown["removed"]) == (4, 1, 0, 0)
    refused = cli("blobs", "sweep", "--grace", "1s", code=2)
    assert "1 of 4 contents" in refused
    assert "--yes" in refused
    assert "max_share" in cli("blobs", "sweep", "--grace", "1s", "--yes", "--max-share", "0.1", code=1)
    assert cli.json("blobs", "sweep", "--grace", "1s", "--yes")["sweep"]["marked"] == 1
    time.sleep(1.1)
    assert cli.json("blobs", "sweep", "--grace", "1s", "--yes")["sweep"]["removed"] == 1
    assert len(sorted((folder / "objects" / "sha256").glob("*/*"))) == 2
    assert cli.json("blobs", "verify")["verify"] == {"checked": 3, "healed": 0, "damaged": 0, "missing": 0}
    whole = next(path for path in objects if path.exists())
    whole.write_bytes(b"X" + whole.read_bytes()[1:])
    assert whole.name in cli("blobs", "verify", code=1)
