"""No spelling of a password is shown."""

from __future__ import annotations

import pytest

from tierstore.config.secrets import redacted, redacted_address

PASSWORDS = [
    "top/secret",
    "top#secret",
    "top?secret",
    "top@secret",
    "top secret",
    "top\tsecret",
    "top,secret",
    "top%2Fsecret",
    "top:secret",
]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "form",
    [
        "postgresql://me:{}@host:5432/db",
        "postgresql://host/db?user=me&password={}&sslmode=require",
        "postgresql://host/db?password={}",
        "redis://:{}@host:6379/0",
        "host=h password='{}' dbname=d",
        "host=h password = '{}' dbname=d",
        "host=h password={} dbname=d",
        "password={}",
        "me:{}@host",
    ],
)
def test_an_address_is_shown_without_its_password(form, password):
    assert "secret" not in redacted_address(form.format(password))


def test_what_is_no_secret_is_shown():
    assert (
        redacted_address("postgresql://me:x@host:5432/db?sslmode=require")
        == "postgresql://me:***@host:5432/db?sslmode=require"
    )
    assert redacted_address("host=h password='a b' dbname=d") == "host=h password=*** dbname=d"
    assert redacted("cannot use host=h password='a b' dbname=d") == "cannot use host=h password=*** dbname=d"
