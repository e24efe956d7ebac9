"""`Config`: everything that `tierstore.open` needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tierstore.config.cache import CacheConfig
from tierstore.config.check import check, is_encodable, require
from tierstore.config.deadlines import Deadlines
from tierstore.config.gates import Gates
from tierstore.config.objects import ObjectConfig
from tierstore.config.place import looks_like, resolved
from tierstore.config.postgres import PostgresConfig
from tierstore.config.redis import RedisConfig
from tierstore.config.setting import Policy, named, settings
from tierstore.config.sources import CONFIG_FILE, Given, build, from_document, from_variables, parse_toml
from tierstore.config.state import PairsPlace, StateConfig, place_of, settled, with_local_valkey
from tierstore.errors import ConfigError, raise_alone

FOLDER = (
    "the path of a folder, got {}, which looks like an address; give PostgreSQL's address to open() or as DATABASE_URL, Redis's as "
    "REDIS_URL, an object store's bucket as S3_BUCKET, or write ./ before the name of a folder"
)


@dataclass(frozen=True, slots=True, repr=False)
class Config(Policy):
    """Everything `tierstore.open` needs. `Config("data/")` is an embedded store in that folder.

    Either `path` (SQLite and files) or `postgres`; `redis` and `objects` may join both.
    """

    path: str | os.PathLike[str] | None = field(
        default=None, metadata=named("TIERSTORE_PATH", "path", "backend.path", opens=True)
    )
    """The folder of an embedded store: SQLite and files, no servers."""
    _: KW_ONLY
    postgres: PostgresConfig | None = None
    redis: RedisConfig | None = None
    objects: ObjectConfig | None = None
    cache: CacheConfig = field(default_factory=CacheConfig)
    state: StateConfig = field(default_factory=StateConfig)
    deadlines: Deadlines = field(default_factory=Deadlines)
    gates: Gates = field(default_factory=Gates)
    migrate: Literal["auto", "check", "never"] = field(default="auto", metadata=named("TIERSTORE_MIGRATE", "migrate"))
    """What opening a store does about missing migrations: apply them, refuse to open, or nothing."""
    read_only: bool = field(default=False, metadata=named("TIERSTORE_READ_ONLY", "read_only"))
    """Whether the store only reads: nothing is migrated, created, counted or swept, and each call that would change something is refused.
    A role that may only SELECT is enough, and a folder that cannot be written."""
    on_unavailable: Literal["raise", "memory"] = field(
        default="raise", metadata=named("TIERSTORE_ON_UNAVAILABLE", "on_unavailable")
    )
    """What opening a store does when the database does not answer: "raise" raises, "memory" keeps data only until the store closes.
    A refused login is always an error."""

    def __post_init__(self) -> None:
        check(self)
        if (self.path is None) == (self.postgres is None):
            raise ConfigError(
                "give exactly one of path (a folder, for SQLite and files) and postgres (the address of a database)"
            )
        if self.path is not None:
            path: Any = self.path
            text = os.fspath(path) if isinstance(path, os.PathLike) else path
            is_path = isinstance(text, str) and text != "" and is_encodable(text)
            require("path", path, is_path, "the path of a folder")
            if (address := looks_like(text)) is not None:
                raise ConfigError(f"path must be {FOLDER.format(repr(address))}", key="path")

    def resolved(self) -> Config:
        """With the folder as it is found now: absolute, without `~` and symbolic links. ConfigError where it is a file, or cannot be found.

        A store is opened with this, so that neither a change of the working directory nor of a link moves it. Where `state` leaves its
        place to the environment, that is looked up now.
        """
        state = settled(self.state, from_variables(type(self), os.environ, {}))
        if self.path is None:
            return replace(self, state=state)
        try:
            folder = resolved(os.fspath(self.path))
            is_file = folder.is_file()
        except (OSError, RuntimeError) as error:
            raise_alone(ConfigError(f"path must be a folder that can be found, got {self.path!r}: {error}", key="path"))
        expected = "the path of a folder, not of a file (Config.from_toml reads a file of settings)"
        require("path", str(folder), not is_file and folder.suffix != ".toml", expected)
        return replace(self, path=folder, state=state)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Config:
        """From the environment's variables. A file that TIERSTORE_CONFIG names is read first; variables win over it."""
        variables = os.environ if environment is None else environment
        given: dict[str, Given] = {}
        if file := variables.get(CONFIG_FILE):
            given = from_document(cls, parse_toml(Path(file)), file)
        return build(cls, with_local_valkey(from_variables(cls, variables, given)))

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Config:
        """From a file with a [storage] table. ConfigError names a key that is unknown."""
        return build(cls, from_document(cls, parse_toml(Path(path)), os.fspath(path)))


def pairs_of(config: Config) -> Mapping[str, PairsPlace]:
    """The stores whose pairs of keys and values lie outside the database, by name, and where. ConfigError where there is no such place."""
    place = place_of(config.state, None if config.gates.redis is False else config.redis)
    return {} if place is None else {"state": place}


def environment_names_a_store(environment: Mapping[str, str] | None = None) -> bool:
    """Whether `Config.from_env` has anything to go by: a folder, a database or a file."""
    variables = os.environ if environment is None else environment
    places = [known.setting.env for known in settings(Config) if known.name in ("path", "postgres.url")]
    return any(variables.get(name) for name in (CONFIG_FILE, *(name for names in places for name in names)))
