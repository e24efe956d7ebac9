"""Writes `docs/configuration.md` from the fields of the policies: `python -m tests.house.configuration_page [--check]`."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tierstore.config import Config
from tierstore.config.check import bare
from tierstore.config.setting import KEY, Policy, Setting, field_types, nested
from tierstore.config.sources import CONFIG_FILE, SWITCHES

TARGET = Path(__file__).parents[2] / "docs" / "configuration.md"
HEAD = f"""# Configuration

<!-- Generated from the fields of `tierstore.config` by `python -m tests.house.configuration_page`; a test holds it. -->

Give the settings in code, in a TOML file, or as environment variables:

```python
import tierstore
from tierstore import Config, PostgresConfig, RedisConfig

in_code = Config(postgres=PostgresConfig("postgresql://app@db/registry"), redis=RedisConfig("redis://cache", prefix="app:"))
from_variables = Config.from_env({{"DATABASE_URL": "postgresql://app@db/registry", "REDIS_URL": "redis://cache", "REDIS_PREFIX": "app:"}})
assert in_code == from_variables
```

- `Config.from_toml(path)` reads a file. `Config.from_env()` reads the environment; it first reads the file that `{CONFIG_FILE}` names, and
  variables win over the file.
- A wrong value is a `ConfigError` that names the setting, the value, what was expected, and the variable or key that gave it. An unknown
  key in the file is an error too. Passwords are shown nowhere.
- An empty variable counts as absent. Lists are separated by commas. A switch is one of {", ".join(f"`{word}`" for word in SWITCHES)}.
- A tier is on when its address is given (marked *on*), unless its gate says `false`. A cache or object store that does not answer when
  the store is opened is a warning, and is tried again; `required` makes it an error. A wrong password, setting or permission is always
  an error.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, *_section(Config, "Config", "")]
    return "\n".join(parts)


def _section(policy: type[Policy], path: str, place: str) -> Iterator[str]:
    rows = [_row(policy, item, place) for item in fields(policy) if KEY in item.metadata]
    yield f"## {path}\n\n{_plain(inspect.getdoc(policy) or '')}\n"
    head = "| setting | variable | key in the file | type | default | what it does |\n|---|---|---|---|---|---|"
    yield "\n".join([head, *rows]) + "\n"
    for item in fields(policy):
        inner = nested(field_types(policy)[item.name])
        if inner is not None:
            yield from _section(inner, inner.__name__, f"{place}{item.name}.")


def _row(policy: type[Policy], item: Field[Any], place: str) -> str:
    setting: Setting = item.metadata[KEY]
    annotation = field_types(policy)[item.name]
    does = _plain(documented(policy)[item.name]) + (" *on*" if setting.opens else "")
    names = "<br>".join(f"`{name}`" for name in (*setting.env, *setting.fallbacks))
    keys = "<br>".join(f"`{key}`" for key in setting.toml)
    cells = (f"`{place}{item.name}`", names, keys, _kind(annotation, setting), _default(item), does)
    return f"| {' | '.join(cells)} |"


def documented(policy: type[Policy]) -> dict[str, str]:
    """The text under each field in the source."""
    body = ast.parse(inspect.getsource(policy)).body[0].body  # type: ignore[attr-defined]  # a class
    found = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            found[field.target.id] = str(ast.literal_eval(text.value))
    return found


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _kind(annotation: Any, setting: Setting) -> str:
    annotation = bare(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{str(one).lower()}`" for one in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "addresses" if setting.address else "list of `host:port`"
    words = {bool: "switch", int: f"whole number, {setting.least:g} or more", float: "seconds", str: "text"}
    if annotation in words:
        return "address" if setting.address else words[annotation]
    if "PathLike" in str(annotation):
        return "folder"
    return f"`name={'base64' if get_args(annotation)[1] is bytes else 'seconds'}` pairs"


def _default(item: Field[Any]) -> str:
    if item.default is MISSING and item.default_factory is MISSING:
        return "required"
    value = item.default if item.default is not MISSING else None
    if value in (None, "", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main() -> None:
    if "--check" not in sys.argv:
        TARGET.write_text(page())
    elif TARGET.read_text() != page():
        sys.exit("docs/configuration.md is out of date: run `python -m tests.house.configuration_page`")


if __name__ == "__main__":
    main()
