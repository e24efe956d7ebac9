"""The Versity S3 gateway over a private folder: versioning, conditional puts, SHA-256 checksums, presigned URLs, multipart."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from tests.servers.process import Given, Server, free_port, listening
from tests.servers.programs import versitygw
from tierstore.config import ObjectConfig

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY, SECRET_KEY, REGION = "tierstore-tests", "only-for-tests", "us-east-1"


class _Buckets:
    """What a test needs of either form: an address, credentials, and fresh buckets."""

    endpoint_url: str
    access_key = ACCESS_KEY
    secret_key = SECRET_KEY
    region = REGION

    def client(self) -> S3Client:
        """A plain client, to look at what the code under test left."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                signature_version="s3v4", connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}
            ),
        )

    def config(self, bucket: str, **settings: Any) -> ObjectConfig:
        """How tierstore reaches a bucket here; settings of ObjectConfig as keywords."""
        return ObjectConfig(
            bucket,
            **{
                "region": self.region,
                "endpoint_url": self.endpoint_url,
                "access_key": self.access_key,
                "secret_key": self.secret_key,
                **settings,
            },
        )

    def environment_of(self, bucket: str) -> dict[str, str]:
        """The same, as tierstore reads it from the environment."""
        return {
            "S3_BUCKET": bucket,
            "S3_REGION": self.region,
            "S3_ENDPOINT_URL": self.endpoint_url,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
        }

    def create_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"tierstore-test-{secrets.token_hex(8)}"
        client = self.client()
        try:
            client.create_bucket(Bucket=name)
        finally:
            client.close()
        return name


class S3(_Buckets, Server):
    name = "s3"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        for part in ("data", "versions"):
            (self.folder / part).mkdir()

    def command(self) -> list[str]:
        listen = ["--port", f"127.0.0.1:{self.port}", "--quiet", "--keep-alive", "--region", self.region]
        return [
            str(versitygw()),
            *listen,
            "posix",
            "--versioning-dir",
            str(self.folder / "versions"),
            str(self.folder / "data"),
        ]

    def environment(self) -> dict[str, str]:
        return {"ROOT_ACCESS_KEY_ID": self.access_key, "ROOT_SECRET_ACCESS_KEY": self.secret_key}

    def ready(self) -> bool:
        return listening(self.port)


class GivenS3(_Buckets, Given):
    """The server of TIERSTORE_TEST_S3_URL: `http://ACCESS_KEY:SECRET_KEY@host:port`."""

    def __init__(self, url: str) -> None:
        super().__init__("TIERSTORE_TEST_S3_URL")
        parts = urlsplit(url)
        self.port = parts.port
        self.endpoint_url = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        self.access_key, self.secret_key = parts.username or ACCESS_KEY, parts.password or SECRET_KEY
