"""The one file that imports boto3: makes a client, prepares its bucket, translates its exceptions by their code."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tierstore.backends.tls import is_tls_wrong
from tierstore.config import ObjectConfig, redacted, without_account
from tierstore.errors import (
    ConfigError,
    ConflictError,
    ConnectionError,
    CorruptError,
    NotFoundError,
    QueryError,
    StorageError,
    UnsupportedError,
    raise_alone,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import LifecycleRuleOutputTypeDef, LifecycleRuleTypeDef

log = logging.getLogger("tierstore")
RULE = "tierstore"
ABORT_MULTIPART_DAYS = 7
REGION = "us-east-1"

ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
DENIED = frozenset(
    {"401", "403", "AccessDenied", "AllAccessDisabled", "ExpiredToken", "Forbidden", "InvalidAccessKeyId"}
    | {"InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
WRONG_PLACE = frozenset(
    {"301", "AuthorizationHeaderMalformed", "InvalidBucketName", "NoSuchBucket", "PermanentRedirect"}
)
UNKNOWN_CALL = frozenset({"501", "MethodNotAllowed", "NotImplemented"})
STANDS_IN_THE_WAY = frozenset({"412", "PreconditionFailed"})
DAMAGED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
PASSING = frozenset({"ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "SlowDown", "Throttling"})

_loader: Any = None
"""boto3's parsed service descriptions: 90 of the 98 ms that a first client takes. Shared, since they are only read."""


def make_client(config: ObjectConfig) -> S3Client:
    """A client for one bucket. It connects to nothing yet; ConfigError where a setting makes no sense."""
    global _loader
    try:
        import boto3.session
        import botocore.session
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise_alone(ConfigError(f"{error.name} is not installed; run pip install 'tierstore[s3]'"))
    settings = Config(
        signature_version="s3v4",
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        max_pool_connections=config.threads,
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if config.endpoint_url else "auto"},
        tcp_keepalive=True,
    )
    session = botocore.session.get_session()
    if _loader is None:
        _loader = session.get_component("data_loader")
    session.register_component("data_loader", _loader)
    try:
        made = boto3.session.Session(botocore_session=session)
        return made.client(
            "s3",
            region_name=config.region or made.region_name or REGION,
            endpoint_url=config.endpoint_url and without_account(config.endpoint_url),
            aws_access_key_id=config.access_key,
            aws_secret_access_key=config.secret_key,
            config=settings,
        )
    except ValueError as error:
        raise_alone(ConfigError(f"objects: {redacted(str(error))}"))


def prepare_bucket(client: S3Client, config: ObjectConfig) -> None:
    """Look whether the bucket is there; set versioning and lifecycle where configured and where the server knows them."""
    client.head_bucket(Bucket=config.bucket)
    if config.versioning:
        _optional("versioning", lambda: _set_versioning(client, config))
    if config.expire_noncurrent_days is not None:
        days = config.expire_noncurrent_days
        _optional("lifecycle rules", lambda: _set_lifecycle(client, config, days))


def _optional(what: str, step: Callable[[], None]) -> None:
    """A server that cannot do it, or forbids it, still stores blobs: say so and go on."""
    from botocore.exceptions import ClientError

    try:
        step()
    except ClientError as error:
        if code_of(error) not in UNKNOWN_CALL | DENIED:
            raise
        log.warning("The object store does not accept %s (%s); set them with its own tools.", what, code_of(error))


def _set_versioning(client: S3Client, config: ObjectConfig) -> None:
    if client.get_bucket_versioning(Bucket=config.bucket).get("Status") != "Enabled":
        client.put_bucket_versioning(Bucket=config.bucket, VersioningConfiguration={"Status": "Enabled"})


def _set_lifecycle(client: S3Client, config: ObjectConfig, days: int) -> None:
    """Our one rule beside those of others: putting rules replaces all of them."""
    rule: LifecycleRuleTypeDef = {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": config.prefix},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_MULTIPART_DAYS},
    }
    present = _lifecycle(client, config)
    if rule not in present:
        others: Any = [other for other in present if other.get("ID") != RULE]
        client.put_bucket_lifecycle_configuration(
            Bucket=config.bucket, LifecycleConfiguration={"Rules": [*others, rule]}
        )


def _lifecycle(client: S3Client, config: ObjectConfig) -> list[LifecycleRuleOutputTypeDef]:
    from botocore.exceptions import ClientError

    try:
        return client.get_bucket_lifecycle_configuration(Bucket=config.bucket)["Rules"]
    except ClientError as error:
        if code_of(error) == "NoSuchLifecycleConfiguration":
            return []
        raise


def code_of(error: Exception) -> str:
    """The code that the server gave ("NoSuchKey", or "404" where an answer has no body); "" for all else."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _status_of(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed in a moment."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _status_of(error) in (429, 500, 502, 503, 504) or code_of(error) in PASSING | DAMAGED
    return isinstance(translated(error), ConnectionError)


def translated(error: Exception) -> StorageError | None:
    """The project's error for one of boto3's; None for any other exception."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _translated_answer(error)
    if isinstance(error, BotoCoreError):
        return _translated_failure(error)
    return None


def _translated_answer(error: Any) -> StorageError:
    code, status = code_of(error), _status_of(error)
    said = redacted(f"{code} {error.response.get('Error', {}).get('Message', '')}".strip())
    error_classes: list[tuple[bool, type[StorageError], str]] = [
        (code in WRONG_PLACE, ConfigError, "check bucket, region and endpoint_url"),
        (code in DENIED, ConfigError, "check the credentials and what they may do"),
        (code in ABSENT, NotFoundError, "the object does not exist"),
        (code in UNKNOWN_CALL, UnsupportedError, "this server does not support the request"),
        (code in STANDS_IN_THE_WAY, ConflictError, "another object is in its place"),
        (code in DAMAGED, CorruptError, "the bytes were damaged on the way"),
        (status >= 500 or status == 429 or code in PASSING, ConnectionError, "the server cannot serve the request now"),
    ]
    error_class, advice = next(
        ((error_class, advice) for holds, error_class, advice in error_classes if holds),
        (QueryError, "the server refused the request"),
    )
    return error_class(f"the object store answered {said}: {advice}", tier="objects")


def _translated_failure(error: Exception) -> StorageError:
    from botocore import exceptions as boto

    said = redacted(str(error))
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.InvalidRegionError)):
        return ConfigError(f"objects: {said}", tier="objects")
    if isinstance(error, boto.SSLError) and is_tls_wrong(error):
        return ConfigError(f"the object store cannot be reached with TLS: {said}", tier="objects")
    if isinstance(error, (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError)):
        return ConnectionError(f"the object store did not answer in full: {said}", tier="objects")
    return QueryError(f"the object store cannot be asked that: {said}", tier="objects")
