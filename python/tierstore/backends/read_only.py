"""Round the drivers of a store that was opened with `read_only=True`: they read, and refuse to change anything."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from tierstore.errors import UnsupportedError

REFUSED: Final = (
    "the store was opened with read_only=True (TIERSTORE_READ_ONLY) and changes nothing: open it without, to write"
)


def refuse(*_arguments: object, **_named: object) -> NoReturn:
    """Stands for a call that would write."""
    raise UnsupportedError(REFUSED)


async def refuse_later(*_arguments: object, **_named: object) -> NoReturn:
    """The same, awaited."""
    raise UnsupportedError(REFUSED)


class _ReadOnly:
    """What is not named in a subclass is the driver's own."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


class ReadOnlyRecords(_ReadOnly):
    unit = aside = housekeeping = exclusive = staticmethod(refuse)
    write = script = execute = staticmethod(refuse_later)


class ReadOnlyBlobs(_ReadOnly):
    put = delete = staticmethod(refuse_later)


class ReadOnlyPairs(_ReadOnly):
    put = put_many = delete = delete_many = pop = expire = increment = delete_prefix = staticmethod(refuse_later)

    def jobs(self) -> dict[str, Any]:
        return {}
