"""An S3-compatible object store."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tierstore.config.check import check, require
from tierstore.config.setting import Policy, named

MIB = 1024 * 1024
INLINE_MAX = 65_536
"""Content of up to this many bytes is stored in its row."""


@dataclass(frozen=True, slots=True, repr=False)
class ObjectConfig(Policy):
    """An S3-compatible object store. Without keys, boto3 finds the credentials in its usual places."""

    bucket: str = field(metadata=named("S3_BUCKET", "s3.bucket", opens=True))
    """The bucket. It must exist."""
    region: str | None = field(
        default=None,
        metadata=named("S3_REGION", "s3.region", fallbacks=("AWS_REGION", "AWS_DEFAULT_REGION")),
    )
    """The region of the bucket. None: that of the AWS profile, else us-east-1."""
    prefix: str = field(default="", metadata=named("S3_PREFIX", "s3.prefix"))
    """The text that the name of every object begins with."""
    endpoint_url: str | None = field(
        default=None,
        metadata=named(
            "S3_ENDPOINT_URL", "s3.endpoint_url", fallbacks=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), address=True
        ),
    )
    """The address of the object store. None: that of AWS."""
    threshold: int = field(default=MIB, metadata=named("S3_MIN_SIZE_BYTES", "s3.min_size_bytes", least=INLINE_MAX + 1))
    """Content of this many bytes or more goes to the object store."""
    access_key: str | None = field(default=None, metadata=named("S3_ACCESS_KEY", "s3.access_key", secret=True))
    """The access key. None: boto3 finds the credentials in its usual places."""
    secret_key: str | None = field(default=None, metadata=named("S3_SECRET_KEY", "s3.secret_key", secret=True))
    """The secret key that belongs to `access_key`."""
    versioning: bool = field(default=False, metadata=named("S3_VERSIONING", "s3.versioning"))
    """Whether to switch on versioning for the bucket, where the object store supports it."""
    expire_noncurrent_days: int | None = field(
        default=None, metadata=named("S3_EXPIRE_NONCURRENT_DAYS", "s3.expire_noncurrent_days", least=1)
    )
    """After how many days the object store removes old versions of an object. None: its lifecycle rules stay as they are."""
    connect_timeout: float = field(
        default=1, metadata=named("S3_CONNECT_TIMEOUT_SECONDS", "s3.connect_timeout_seconds")
    )
    """How long a connection may take to open."""
    read_timeout: float = field(default=5, metadata=named("S3_READ_TIMEOUT_SECONDS", "s3.read_timeout_seconds"))
    """How long the object store may send nothing within an answer."""
    threads: int = field(default=16, metadata=named("S3_THREADS", "s3.threads", least=1))
    """How many requests run at once: each has a thread and a connection."""
    required: bool = field(default=False, metadata=named("S3_REQUIRED", "s3.required"))
    """Whether opening a store fails while the object store does not answer. False: it warns, keeps content in rows, and connects later."""

    def __post_init__(self) -> None:
        check(self, "objects.")
        is_name = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", self.bucket) is not None
        require("objects.bucket", self.bucket, is_name, "a bucket's name of 3 to 63 characters from a-z, 0-9, . and -")
        for name, key, other in (
            ("access_key", self.access_key, self.secret_key),
            ("secret_key", self.secret_key, self.access_key),
        ):
            require(
                f"objects.{name}",
                None,
                key is not None or other is None,
                "given where the other key is: give both access_key and secret_key, or neither",
            )
