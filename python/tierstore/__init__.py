"""tierstore: the storage layer of a Python service.

    async with tierstore.open("data/") as store:            # embedded: SQLite and files in that folder
        await store.schemas.register("orders", "1.0.0", b'{"type": "object"}')

    async with tierstore.open(tierstore.Config.from_env()) as store: ...   # PostgreSQL, Redis, S3 by the environment

Names are loaded when they are first used, so that importing tierstore loads no driver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tierstore._native import DEBUG_BUILD

if TYPE_CHECKING:
    from tierstore import blocking, codec, errors, proto, telemetry
    from tierstore._native import Placement, SizeRouter, VectorClock
    from tierstore.cache import Cache, CacheStats
    from tierstore.config import (
        CacheConfig,
        Config,
        Deadlines,
        Gates,
        ObjectConfig,
        PostgresConfig,
        RedisConfig,
        SentinelConfig,
    )
    from tierstore.errors import (
        ClosedError,
        ConfigError,
        ConflictError,
        ConnectionError,
        CorruptError,
        InvalidKeyError,
        NotFoundError,
        OutcomeUnknownError,
        PoolTimeoutError,
        ProtoSyntaxError,
        QueryError,
        StorageError,
        TimeoutError,
        UnsupportedError,
        ValidationError,
    )
    from tierstore.records import Record
    from tierstore.store import Store, open

__version__ = "0.1.0"

_HOME = {
    "tierstore.config": "CacheConfig Config Deadlines Gates ObjectConfig PostgresConfig RedisConfig SentinelConfig",
    "tierstore.errors": "ClosedError ConfigError ConflictError ConnectionError CorruptError InvalidKeyError NotFoundError "
    "OutcomeUnknownError PoolTimeoutError ProtoSyntaxError QueryError StorageError TimeoutError UnsupportedError ValidationError",
    "tierstore._native": "Placement SizeRouter VectorClock",
    "tierstore.cache": "Cache CacheStats",
    "tierstore.records": "Record",
    "tierstore.store": "Store open",
}
_MODULES = ("blocking", "codec", "errors", "proto", "telemetry")
_HOME_OF = {name: home for home, names in _HOME.items() for name in names.split()}

__all__ = [
    "Cache",
    "CacheConfig",
    "CacheStats",
    "ClosedError",
    "Config",
    "ConfigError",
    "ConflictError",
    "ConnectionError",
    "CorruptError",
    "Deadlines",
    "Gates",
    "InvalidKeyError",
    "NotFoundError",
    "ObjectConfig",
    "OutcomeUnknownError",
    "Placement",
    "PoolTimeoutError",
    "PostgresConfig",
    "ProtoSyntaxError",
    "QueryError",
    "Record",
    "RedisConfig",
    "SentinelConfig",
    "SizeRouter",
    "StorageError",
    "Store",
    "TimeoutError",
    "UnsupportedError",
    "ValidationError",
    "VectorClock",
    "__version__",
    "blocking",
    "codec",
    "errors",
    "open",
    "proto",
    "telemetry",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tierstore.{name}")
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module 'tierstore' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if DEBUG_BUILD:
    import warnings

    warnings.warn("tierstore was built without optimisation: build it with `make build`", RuntimeWarning, stacklevel=2)
