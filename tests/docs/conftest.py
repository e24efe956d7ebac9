"""The servers as the environment names them."""

import pytest


@pytest.fixture
def server_environment(database, redis_server, s3_server, bucket) -> dict[str, str]:
    redis_server.flush()
    return {
        "DATABASE_URL": database,
        "REDIS_URL": redis_server.url,
        "S3_BUCKET": bucket,
        "S3_ENDPOINT_URL": s3_server.endpoint_url,
        "S3_ACCESS_KEY": s3_server.access_key,
        "S3_SECRET_KEY": s3_server.secret_key,
        "S3_REGION": s3_server.region,
    }
