"""The servers as the environment names them."""

import pytest


@pytest.fixture
def server_environment(database, redis_server, s3_server, bucket) -> dict[str, str]:
    redis_server.flush()
    return {"DATABASE_URL": database, "REDIS_URL": redis_server.url} | s3_server.environment_of(bucket)
