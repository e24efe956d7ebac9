"""`tierstore modules` and `tierstore import --as module` as a person and a script use them."""

from __future__ import annotations

import zipfile

import click
import pytest

from tests.facade.test_cli_state import Here
from tierstore.cli.app import cli as program

HEAD = 'syntax = "proto3";\n'


@pytest.fixture
def cli(tmp_path):
    return Here("--path", str(tmp_path / "store"))


@pytest.fixture
def protos(tmp_path):
    folder = tmp_path / "protos"
    (folder / "acme").mkdir(parents=True)
    (folder / "acme" / "a.proto").write_text(HEAD + "package acme;\n")
    return folder


def imported(cli, protos, version="1.0.0", *more):
    return cli.json("import", str(protos), "--as", "module", "--name", "acme/x", "--version", version, *more)


def commands(group: click.Group, path: str = ""):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}".strip(), command


def test_no_argument_of_a_command_has_the_name_of_a_common_option():
    """It would be overwritten: `--path` names the store."""
    for name, command in commands(program):
        names = [parameter.name for parameter in command.params]
        assert len(names) == len(set(names)), name


def test_what_reads_creates_nothing(cli, tmp_path):
    for arguments in (
        ("list",),
        ("show", "a"),
        ("files", "a", "1.0.0"),
        ("changelog", "a", "1.0.0"),
        ("check", "a", "1.0.0", "2.0.0"),
        ("audit",),
        ("export", "a", "1.0.0", str(tmp_path / "x.zip")),
        ("publish", "a", "1.0.0"),
        ("archive", "a", "1.0.0", "--yes"),
    ):
        assert "there is no store" in cli("modules", *arguments, code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_module_from_a_folder_to_its_end(cli, protos, tmp_path):
    first = imported(cli, protos)["modules"]
    assert [(each["outcome"], each["state"], each["files"]) for each in first] == [("created", "published", 1)]
    assert imported(cli, protos)["modules"][0]["outcome"] == "unchanged"
    (protos / "acme" / "a.proto").write_text(HEAD + "package acme.v2;\n")
    assert "other files" in cli(
        "import", str(protos), "--as", "module", "--name", "acme/x", "--version", "1.0.0", code=1
    )
    imported(cli, protos, "1.1.0", "--state", "draft")
    assert cli.json("modules", "publish", "acme/x", "1.1.0", "--actor", "ana")["version"]["state"] == "published"
    assert "is published" in cli("modules", "publish", "acme/x", "1.1.0", code=1)
    cli("modules", "deprecate", "acme/x", "1.0.0", "--reason", "old", "--replaced-by", "1.1.0")
    shown = cli.json("modules", "show", "acme/x")["versions"]
    assert [(each["version"], each["state"]) for each in shown] == [("1.1.0", "published"), ("1.0.0", "deprecated")]
    assert cli.json("modules", "show", "acme/x", "1.0.0")["version"]["replaced by"] == "1.1.0"
    assert [each["file"] for each in cli.json("modules", "files", "acme/x", "1.1.0")["files"]] == ["acme/a.proto"]
    assert cli("modules", "files", "acme/x", "1.1.0", "acme/a.proto") == HEAD + "package acme.v2;\n"
    assert "has no file" in cli("modules", "files", "acme/x", "1.1.0", "b.proto", code=1)
    changes = cli.json("modules", "changelog", "acme/x", "1.1.0")["changes"]
    assert [(each["change"], each["actor"]) for each in changes[1:]] == [
        ("package_changed", None),
        ("state", None),
        ("state", "ana"),
    ]
    assert "FILE_SAME_PACKAGE" in cli("modules", "check", "acme/x", "1.0.0", "1.1.0", code=1)
    assert "nothing in 1.0.0 breaks" in cli("modules", "check", "acme/x", "1.0.0", "1.0.0")
    assert cli.json("modules", "audit", "acme/x")["audit"][0]["detail"]["replaced_by"] == "1.1.0"
    target = tmp_path / "x.zip"
    assert cli.json("modules", "export", "acme/x", "1.1.0", str(target))["export"]["files"] == 1
    assert zipfile.ZipFile(target).namelist() == ["acme/a.proto"]
    assert "cannot be written" in cli("modules", "export", "acme/x", "1.1.0", str(tmp_path / "no" / "x"), code=1)


def test_archiving_asks_first(cli, protos):
    imported(cli, protos)
    told = cli("modules", "archive", "acme/x", "1.0.0", code=2)
    assert "acme/x 1.0.0, which is published" in told
    assert "modules archive acme/x 1.0.0 --yes" in told
    assert cli.json("modules", "show", "acme/x", "1.0.0")["version"]["state"] == "published"
    cli("modules", "archive", "acme/x", "1.0.0", "--yes")
    assert cli.json("modules", "show", "acme/x", "1.0.0")["version"]["state"] == "archived"
    assert "`tierstore modules show acme/x` lists them" in cli("modules", "archive", "acme/x", "9.0.0", code=1)


def test_each_folder_as_a_module(cli, protos):
    (protos / "bad name").mkdir()
    (protos / "bad name" / "a.proto").write_text("")
    (protos / "acme" / "broken.proto").write_text("import 5;")
    (protos / "linked").symlink_to("/")
    found = cli.json(
        "import",
        str(protos),
        "--as",
        "modules",
        "--version",
        "1.0.0",
        "--prefix",
        "org/",
        "--relative-to",
        "root",
        code=1,
    )
    assert [each["module"] for each in found["modules"]] == ["org/acme"]
    assert [each["module"] for each in found["refused"]] == ["org/bad name"]
    assert [(each["file"], each["line"]) for each in found["unparsed"]] == [("acme/broken.proto", 1)]
    assert [each["left out"] for each in found["skipped"]] == ["linked"]
    assert [each["module"] for each in cli.json("modules", "list", "org/")["modules"]] == ["org/acme"]


def test_options_that_mean_nothing_are_refused(cli, protos, tmp_path):
    for arguments, told in [
        (("--as", "module", "--version", "1.0.0"), "needs --name"),
        (("--as", "modules"), "needs --version"),
        (("--as", "module", "--name", "a", "--version", "1.0.0", "--tag", "x"), "--tag is only for --as schemas"),
        (("--as", "module", "--name", "a", "--version", "1.0.0", "--prefix", "x"), "--prefix is only for"),
        (("--name", "a"), "--name is only for --as module"),
        (("--relative-to", "root"), "--relative-to is only for --as modules"),
    ]:
        assert told in cli("import", str(protos), *arguments, code=2)
    assert not (tmp_path / "store").exists()


def test_an_import_that_is_refused_names_the_file(cli, protos):
    (protos / "acme" / "b\nc.proto").write_text("")
    told = cli("import", str(protos), "--as", "module", "--name", "acme/x", "--version", "1.0.0", code=1)
    assert "acme/b\\nc.proto" in told
    assert "no module" in cli("modules", "list")


def test_a_module_that_is_made_by_itself(cli):
    assert cli.json("modules", "create", "acme/y", "--description", "d", "--tag", "t")["module"]["tags"] == "t"
    cli("modules", "create", "acme/y", "--description", "d", "--tag", "t")
    assert "use update" in cli("modules", "create", "acme/y", code=1)
    assert "name must" in cli("modules", "create", "a..b", code=1)


def test_a_version_whose_imports_nobody_has(cli, protos):
    (protos / "acme" / "a.proto").write_text(HEAD + 'import "none.proto";\n')
    whole = ("import", str(protos), "--as", "module", "--name", "acme/x", "--version", "1.0.0")
    assert "none.proto" in cli(*whole, "--resolved", code=1)
    imported(cli, protos, "1.0.0", "--state", "draft")
    assert "none.proto" in cli("modules", "publish", "acme/x", "1.0.0", code=1)
    cli("modules", "publish", "acme/x", "1.0.0", "--allow-unresolved")
    assert "--resolved is only for --as module and modules" in cli("import", str(protos), "--resolved", code=2)
