"""`import tierstore` is quick and loads no driver."""

import subprocess
import sys

import pytest

import tierstore

DRIVERS = (
    "psycopg",
    "redis",
    "boto3",
    "botocore",
    "sqlite3",
    "click",
    "rich",
    "opentelemetry",
    "jsonschema_rs",
)


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.requirement("S5-05")
def test_import_loads_no_driver():
    loaded = fresh("import sys, tierstore; print(*sys.modules)").split()
    assert "tierstore" in loaded
    assert not {name.partition(".")[0] for name in loaded} & set(DRIVERS)


def test_import_starts_no_thread_and_opens_no_file():
    assert fresh("import threading, tierstore; print(threading.active_count())").strip() == "1"


def test_every_exported_name_is_there():
    for name in tierstore.__all__:
        assert getattr(tierstore, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tierstore.nothing


def test_the_errors_are_the_builtins_too():
    assert issubclass(tierstore.ConnectionError, ConnectionError)
    assert issubclass(tierstore.TimeoutError, TimeoutError)
    assert issubclass(tierstore.PoolTimeoutError, tierstore.TimeoutError)
    assert issubclass(tierstore.InvalidKeyError, tierstore.ValidationError)
