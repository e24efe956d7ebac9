"""Stores of both backends in both faces, for what is asked of every store of the roster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.schema_stores import BACKENDS, FACES, Opened, backend_config, opened
from tierstore.stores import roster


@pytest.fixture(scope="module", params=[(backend, face) for backend in BACKENDS for face in FACES], ids="-".join)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A store of `backend` in `face`, open for all tests of the module."""
    backend, face = request.param
    with opened(backend, face, backend_config(request, backend, tmp_path_factory.mktemp("store"))) as store:
        yield store


@pytest.fixture(params=roster())
def name(request: pytest.FixtureRequest) -> str:
    """Each store of the roster."""
    return str(request.param)
