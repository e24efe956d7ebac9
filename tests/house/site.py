"""Makes the site: `python -m tests.house.site FOLDER`. README, docs, CONTRIBUTING and the reference, as pages that need no network."""

from __future__ import annotations

import functools
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.house import reference

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "Use": "start schemas state modules content documents guarantees configuration frameworks operations",
    "Parts": "cache codec graph performance",
}
"""The navigation. A page that is not written yet is left out; one that is not named stands under "Project"."""
LAST = ("docs/glossary", "docs/design/index", "CONTRIBUTING")
LINK = re.compile(r"(\]\()(?!https?://|#)([^)#\s]+)")
"""A link to a file, up to its anchor."""


def pages() -> list[Path]:
    """Every page that people read: README, CONTRIBUTING, what is in docs/, and the pages elsewhere that these link to."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in found:  # grows while it is walked
        found += [target for target in _targets(page) if target.suffix == ".md" and target not in found]
    return found


def lay_out(folder: Path) -> None:
    """Copy the pages into `folder` as Sphinx wants them: README is `index`, and what a page links to lies beside it."""
    names = [name_of(page) for page in pages()]
    for page, name in zip(pages(), names, strict=True):
        text = page.read_text()
        for linked in _targets(page):
            if linked.suffix != ".md":
                target = folder / linked.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(linked, target)
        text = LINK.sub(functools.partial(_rewritten, page), text)
        if name == "index":
            text += "".join(_contents(title, inner) for title, inner in _sections(names))
        if name == "docs/design/index":
            text += _contents("Design", (inner.rpartition("/")[2] for inner in names if _is_note(inner)))
        _write(folder / f"{name}.md", text)
    for name, text in reference.pages().items():
        _write(folder / "reference" / f"{name}.rst", text)


def name_of(page: Path) -> str:
    name = page.relative_to(ROOT).with_suffix("").as_posix()
    return re.sub(r"README$", "index", name)


def _is_note(name: str) -> bool:
    return name.startswith("docs/design/") and name != "docs/design/index"


def _sections(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The captions of the navigation, and the pages below each."""
    sections = {title: [f"docs/{name}" for name in section.split()] for title, section in SECTIONS.items()}
    named = {name for section in sections.values() for name in section} | {"index", *LAST}
    for title, section in sections.items():
        yield title, [name for name in section if name in names]
    yield "Reference", [f"reference/{name}" for name in reference.pages()]
    rest = [name for name in names if name not in named and not _is_note(name)]
    yield "Project", sorted([*rest, *(name for name in LAST if name in names)], key=lambda name: "docs/" not in name)


def _contents(title: str, names: Iterable[str]) -> str:
    return "\n".join(["\n```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```\n"])


def _targets(page: Path) -> list[Path]:
    """The files of the tree that a page links to, each once."""
    linked = dict.fromkeys((page.parent / link).resolve() for _, link in LINK.findall(page.read_text()))
    return [target for target in linked if target.is_file() and target.is_relative_to(ROOT)]


def _rewritten(page: Path, match: re.Match[str]) -> str:
    """A link as the site has it: README is the index of its folder, and what a folder stands for."""
    link = match[2]
    if (page.parent / link).is_dir():
        link = posixpath.join(link, "README.md")
    return match[1] + re.sub(r"README\.md$", "index.md", link)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def build(folder: Path) -> None:
    """Write the site into `folder`. Whatever Sphinx warns of is an error."""
    with tempfile.TemporaryDirectory() as made:
        source, doctrees = Path(made) / "pages", Path(made) / "doctrees"
        lay_out(source)
        sphinx = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "--fail-on-warning", "--keep-going"]
        sphinx += ["--conf-dir", str(ROOT / "docs"), "--doctree-dir", str(doctrees), str(source), str(folder.resolve())]
        subprocess.run(sphinx, cwd=ROOT, check=True)
    for left in (".buildinfo", "objects.inv"):
        (folder / left).unlink(missing_ok=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
