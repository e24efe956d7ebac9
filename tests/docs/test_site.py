"""`make docs` makes one site of README, docs and reference: complete, its links lead somewhere, and it needs no network."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

import tierstore
from tests.house import reference, site


class Page(HTMLParser):
    """Where a page leads, what it loads, and the places in it that a link may name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(found["id"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in ("img", "script", "iframe", "source", "link"):
            self.loads += [found[name] for name in ("src", "href") if found.get(name)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, "-m", "tests.house.site", str(made)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return made


@pytest.fixture(scope="module")
def pages(folder):
    return {path.resolve(): Page(path.read_text()) for path in folder.rglob("*.html")}


def test_every_page_of_the_tree_is_on_the_site(folder, pages):
    index = (folder / "index.html").read_text()
    for source in site.pages():
        name = site.name_of(source)
        assert (folder / f"{name}.html").resolve() in pages
        assert name == "index" or f'href="{name}.html"' in index, f"the navigation does not show {name}"


def test_links_of_the_site_lead_somewhere(pages):
    lost = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = pages.get(target)
            if not target.exists() or (parts.fragment and found and unquote(parts.fragment) not in found.anchors):
                lost.append(f"{path.name}: {link}")
    assert lost == []


def test_the_site_needs_no_network(folder, pages):
    assert [(path.name, load) for path, page in pages.items() for load in page.loads if urlsplit(load).scheme] == []
    for style in folder.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text()), style


def test_the_reference_has_every_public_name(folder):
    text = "".join((folder / "reference" / f"{name}.html").read_text() for name in reference.pages())
    modules = {"blocking", "codec", "errors", "proto", "telemetry"}
    for name in set(tierstore.__all__) - modules - {"__version__"}:
        assert re.search(rf'id="tierstore[\w.]*\.{name}"', text), name
    for module in ("codec", "errors", "proto"):
        members = vars(getattr(tierstore, module))
        for name in members.get("__all__", ()):
            if inspect.isclass(members[name]) or inspect.isroutine(members[name]):
                assert re.search(rf'id="tierstore[\w.]*\.{name}"', text), f"{module}.{name}"


def test_the_reference_shows_both_faces(folder):
    for call in ("register_many", "get_latest_many", "search", "presign"):
        assert f"SchemaStore.{call}" in (folder / "reference" / "schemas.html").read_text()
        blocking = (folder / "reference" / "blocking.html").read_text()
        assert f'id="tierstore.blocking.SchemaStore.{call}"' in blocking
        assert "Ellipsis" not in blocking


def test_code_in_a_docstring_is_shown_as_code(folder):
    blocks = re.findall(r"<pre>(.*?)</pre>", (folder / "reference" / "stores.html").read_text(), re.DOTALL)
    shown = [re.sub(r"<[^>]+>", "", block) for block in blocks]
    assert any("async with tierstore.open(" in block for block in shown)
    assert any(block.startswith("async with store.transaction() as tx:\n    await") for block in shown)
