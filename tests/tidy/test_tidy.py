"""The tree keeps the house's rules, and each rule catches what it is there for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.tidy import rules
from tests.tidy.rules import RULES, Rule, Tree

MARK = "TO" + "DO"


@pytest.fixture(scope="module")
def tree() -> Tree:
    root = Path(__file__).parents[2]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return rules.read_tree(root, [name for name in listed.stdout.splitlines() if (root / name).is_file()])


@pytest.mark.requirement("S5-01")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(rule: Rule, tree: Tree):
    assert list(rule(tree)) == []


PLANTED = [
    (rules.direction, "python/tierstore/plan/x.py", "from tierstore.tiers import engine\n"),
    (rules.direction, "python/tierstore/tiers/x.py", "def f():\n    import tierstore.stores.schemas\n"),
    (rules.direction, "python/tierstore/backends/x.py", "from ..stores import schemas\n"),
    (rules.direction, "python/tierstore/calls/x.py", "import tierstore.stores\n"),
    (rules.roster_alone, "python/tierstore/store.py", "def f(self):\n    return self.state\n"),
    (rules.roster_alone, "python/tierstore/blocking.py", "names = ['state']\n"),
    (rules.roster_alone, "python/tierstore/assembly.py", "from tierstore.stores.state import StateStore\n"),
    (rules.stores_apart, "python/tierstore/stores/state/x.py", "from tierstore.stores.schemas import Schema\n"),
    (rules.direction, "python/tierstore/records.py", "from tierstore import plan\n"),
    (rules.direction, "python/tierstore/new_room/x.py", ""),
    (rules.rust_direction, "rust/core/src/x.rs", "use pyo3::prelude::*;\n"),
    (rules.rust_direction, "rust/core/src/x.rs", "let text = std::fs::read(path);\n"),
    (rules.rust_direction, "rust/core/Cargo.toml", 'pyo3 = "0.30"\n'),
    (rules.native_edges, "rust/binding/src/x.rs", 'unsafe extern "C" fn f(a: *mut X) -> c_int {\n    0\n}\n'),
    (rules.native_edges, "rust/binding/src/x.rs", 'extern "C" fn f() {\n    unsafe { g(); raise(|_| 0) }\n}\n'),
    (
        rules.native_edges,
        "rust/binding/src/x.rs",
        "extern fn f() {\n    // all in the guard\n    report(|| ());\n    g();\n}\n",
    ),
    (
        rules.native_edges,
        "rust/binding/x.rs",
        'extern "C" fn f() {\n    unsafe { raise(|_| 0) }\n    if x { g() }\n}\n',
    ),
    (rules.drivers, "python/tierstore/stores/x.py", "import psycopg\n"),
    (
        rules.drivers,
        "python/tierstore/backends/redis/key_value.py",
        "def f():\n    from boto3.session import Session\n",
    ),
    (rules.drivers, "python/tierstore/backends/postgresql.py", "import psycopg_pool\n"),
    (rules.driver_privates, "python/tierstore/backends/x.py", "writer = connection._writer\n"),
    (rules.driver_privates, "python/tierstore/backends/x.py", "def f(self):\n    return self.connection._sock\n"),
    (rules.driver_privates, "python/tierstore/backends/x.py", "from psycopg._queries import PostgresQuery\n"),
    (rules.sql_in_its_place, "python/tierstore/backends/x.py", 'QUERY = "SELECT id\\nFROM schemas"\n'),
    (rules.sql_in_its_place, "python/tierstore/stores/x.py", 'f"INSERT INTO {name} VALUES (1)"\n+ "x"\n'),
    (
        rules.errors_alone,
        "python/tierstore/backends/x.py",
        "try:\n    f()\nexcept ValueError as error:\n    if error.args:\n        raise KeyError(1) from None\n",
    ),
    (rules.dialect, "python/tierstore/stores/schemas/edit.py", 'if kinds.dialect == "sqlite":\n    pass\n'),
    (rules.dialect, "python/tierstore/stores/state/x.py", "def f(dialect):\n    pass\n"),
    (rules.dialect, "python/tierstore/calls/scope.py", "dialect = 1\n"),
    (rules.environment, "python/tierstore/telemetry.py", 'import os\nos.environ["X"]\n'),
    (rules.environment, "python/tierstore/cli/x.py", "from os import getenv\n"),
    (rules.redis_names, "python/tierstore/backends/redis/x.py", 'f"ts1.seen:{number}"\n'),
    (rules.runtime_only, "python/tierstore/tiers/x.py", "import time\n"),
    (rules.runtime_only, "python/tierstore/stores/schemas/x.py", "from asyncio import sleep\n"),
    (rules.length, "python/tierstore/x.py", "x = 1\n" * 501),
    (rules.length, "tests/x.py", "def f():\n" + "    x = 1\n" * 60),
    (rules.machine_paths, "docs/x.md", "see /home/somebody/notes\n"),
    (rules.machine_paths, "tests/x.toml", 'path = "/root/x"\n'),
    (rules.left_behind, "rust/core/src/x.rs", f"// {MARK}: later\n"),
    (rules.left_behind, "tests/x.py", "@pytest.mark." + "skip\n"),
    (rules.above_the_root, "tests/core/x.py", "ROWS = Path(__file__).parents[3] / 'rows.json'\n"),
    (rules.above_the_root, "tests/x.py", "FOLDER = Path(__file__).resolve().parent.parent.parent\n"),
    (rules.above_the_root, "benches/x.py", "FOLDER = Path(__file__).parents[1].parent / 'traces'\n"),
    (rules.above_the_root, "tests/core/x.py", "def test_x(root):\n    (root.parent / 'data').read_text()\n"),
    (rules.above_the_root, "tests/core/x.py", 'open(ROOT / ".." / "x")\n'),
    (rules.above_the_root, "tests/core/x.py", 'open(os.path.join(ROOT, "..", "x"))\n'),
    (rules.above_the_root, "tests/core/x.py", 'open("../../../x")\n'),
    (rules.above_the_root, "benches/x.py", '"""Read from `../shared/data`."""\n'),
    (rules.above_the_root, "docs/x.md", "[the data](../data/README.md)\n"),
    (rules.above_the_root, "docs/design/x.md", "[the data](../../../data)\n"),
    (rules.above_the_root, "README.md", "See ../spec.\n"),
    (rules.above_the_root, "Makefile", "test:\n\tcp -r ../data tests\n"),
    (rules.above_the_root, ".ci/run", 'cd "$(dirname "$0")/../.."\n'),
    (rules.top_level, "scripts/x.py", ""),
]


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_violation_is_caught(rule: Rule, path: str, text: str):
    assert [complaint.split(":")[0] for complaint in rule({path: text})] == [path]


ALLOWED = [
    (
        rules.driver_privates,
        "python/tierstore/backends/x.py",
        "class A:\n    def f(self):\n        b = self\n        b._c = self._d\n",
    ),
    (rules.native_edges, "rust/binding/src/x.rs", 'extern "C" fn f() -> c_int {\n    unsafe { raise(|_| g(1)) }\n}\n'),
    (
        rules.native_edges,
        "rust/binding/src/x.rs",
        'type F = extern "C" fn(X);\nextern "C" fn f() {\n    report(|| {});\n}\n',
    ),
    (
        rules.direction,
        "python/tierstore/tiers/x.py",
        "from tierstore.backends import Records\nfrom tierstore import errors\n",
    ),
    (rules.direction, "python/tierstore/__init__.py", "if TYPE_CHECKING:\n    from tierstore.store import open\n"),
    (rules.drivers, "python/tierstore/backends/s3/client.py", "import boto3.session\n"),
    (rules.dialect, "python/tierstore/stores/schemas/search/query.py", "x.dialect\n"),
    (rules.dialect, "python/tierstore/stores/schemas/candidates.py", "x.dialect\n"),
    (rules.dialect, "python/tierstore/tiers/x.py", "x.dialect\n"),
    (rules.drivers, "python/tierstore/backends/redis/key_value.py", "import redis.asyncio\n"),
    (rules.sql_in_its_place, "python/tierstore/backends/x.py", '"""SELECT x FROM y is what it asks."""\n'),
    (rules.environment, "python/tierstore/config/config.py", "import os\nos.environ\n"),
    (rules.redis_names, "python/tierstore/plan/keys.py", 'FAMILY = "ts1"\n'),
    (rules.machine_paths, "docs/x.md", "https://example.org/root/x and tests/work/x\n"),
    (rules.above_the_root, "tests/core/x.py", "Path(__file__).parents[2]\nPath(__file__).parent.parent.parent\n"),
    (rules.above_the_root, "docs/design/x.md", "[it](../../benches/results/l1.txt), [a page](../x.md), ...\n"),
    (rules.above_the_root, ".ci/run", 'cd "$(dirname "$0")/.."\n'),
]


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED, ids=lambda value: getattr(value, "__name__", None))
def test_what_is_right_passes(rule: Rule, path: str, text: str):
    assert list(rule({path: text})) == []


def test_every_rule_has_a_planted_violation():
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
