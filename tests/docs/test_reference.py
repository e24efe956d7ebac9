"""`make docs` writes a page for each public module, with the blocking face's own signatures."""

from __future__ import annotations

import subprocess
import sys

from tests.house.reference import MODULES


def test_the_reference_names_every_public_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.house.reference", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    pages = {
        name: (tmp_path / f"{name.replace('.', '/')}.html").read_text() for name in (*MODULES, "tierstore.blocking")
    }
    for name, text in pages.items():
        assert len(text) > 10_000, name
    for call in ("register_many", "get_latest_many", "search", "presign"):
        assert call in pages["tierstore.stores.schemas"] + pages["tierstore.stores.schemas.calls"]
        assert call in pages["tierstore.blocking"]
