"""Configuration: small frozen policies, given in code, by a TOML file or by the environment. No other package reads the environment."""

from tierstore.config.cache import CacheConfig
from tierstore.config.config import Config, environment_names_a_store, pairs_of
from tierstore.config.deadlines import Deadlines
from tierstore.config.gates import Gates
from tierstore.config.objects import INLINE_MAX, MIB, ObjectConfig
from tierstore.config.place import postgres_address
from tierstore.config.postgres import MIN_CONNECTIONS, PostgresConfig
from tierstore.config.redis import RedisConfig, SentinelConfig
from tierstore.config.secrets import redacted, without_account
from tierstore.config.state import PairsPlace, StateConfig, StateEncryption

__all__ = [
    "INLINE_MAX",
    "MIB",
    "MIN_CONNECTIONS",
    "CacheConfig",
    "Config",
    "Deadlines",
    "Gates",
    "ObjectConfig",
    "PairsPlace",
    "PostgresConfig",
    "RedisConfig",
    "SentinelConfig",
    "StateConfig",
    "StateEncryption",
    "environment_names_a_store",
    "pairs_of",
    "postgres_address",
    "redacted",
    "without_account",
]
