"""`python -m tests.servers`: all servers, for benches and for trying by hand; they end with this process (Ctrl-C)."""

from __future__ import annotations

import contextlib
import signal
import sys

from tests.servers.fleet import Fleet


def addresses(fleet: Fleet) -> dict[str, str]:
    """What tierstore reads from the environment, and what the tests read."""
    postgres, redis, s3 = fleet.postgres, fleet.redis, fleet.s3
    database = postgres.create_database()
    scheme, _, rest = s3.endpoint_url.partition("//")
    return {
        "DATABASE_URL": database,
        "DATABASE_REPLICA_URLS": postgres.replica_of(database),
        "REDIS_URL": redis.url,
        **s3.environment_of(s3.create_bucket()),
        "TIERSTORE_TEST_POSTGRES_URL": postgres.url,
        "TIERSTORE_TEST_POSTGRES_REPLICA_URL": postgres.replica_url,
        "TIERSTORE_TEST_REDIS_URL": redis.url,
        "TIERSTORE_TEST_S3_URL": f"{scheme}//{s3.access_key}:{s3.secret_key}@{rest}",
    }


def main() -> None:
    fleet = Fleet()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for name, value in addresses(fleet).items():
            print(f"export {name}={value!r}", flush=True)
        print("# running; Ctrl-C ends them", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        fleet.close()


main()
