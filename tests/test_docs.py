"""The pages keep up with the code: error codes are named, links lead somewhere, fronts are tidy.

Settings (tests/config/test_page.py), commands (tests/cli/test_reference.py) and metrics
(tests/telemetry) have such tests of their own.
"""

import ast
import importlib
import pickle
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import headrace
from headrace.errors import HeadraceError

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]
MIGRATIONS = "headrace.storage.migrations."
"""Alembic's own; they run when they are imported."""
WITH_TORCH = "headrace.training.process."
"""Only with the extra `train`."""
WITH_RAY = tuple(f"{WITH_TORCH}{each}" for each in ("cluster", "desk", "member"))
"""Only with the extra `ray`, too."""

FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH_IN_CODE = re.compile(r"`((?:docs|examples|tests|bench|tools)/[\w./-]+)`")
HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)
NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@cache
def modules() -> dict[str, ModuleType]:
    """Every module of the package, imported: an error class exists once its module is."""
    found = pkgutil.walk_packages(headrace.__path__, "headrace.")
    left_out = [MIGRATIONS]
    if not find_spec("torch"):
        left_out.append(WITH_TORCH)
    if not find_spec("ray"):
        left_out += WITH_RAY
    names = [each.name for each in found if not each.name.startswith(tuple(left_out))]
    return {name: importlib.import_module(name) for name in names}


def errors() -> list[type[HeadraceError]]:
    def below(kind: type[HeadraceError]) -> Iterator[type[HeadraceError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    modules()
    # Other tests may have made classes of their own by now.
    return [each for each in below(HeadraceError) if each.__module__.startswith("headrace.")]


def anchors(page: Path) -> set[str]:
    """The headings' addresses, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {
        NOT_IN_ANCHORS.sub("", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in headings
    }


def test_every_error_code_is_named_in_a_page() -> None:
    pages = "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))
    unnamed = {each.code for each in errors() if f"`{each.code}`" not in pages}
    assert not unnamed, "name them in the page of their subject, or in docs/api.md"


def test_every_error_survives_the_way_to_another_process() -> None:
    for each in errors():
        sent = each("what", hint="do this", param="field")
        got = pickle.loads(pickle.dumps(sent))
        assert type(got) is each
        assert (got.message, got.hint, got.param) == ("what", "do this", "field"), each


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            assert anchor in anchors(target), f"{link}: that page has no such heading"
    for path in PATH_IN_CODE.findall(text):
        assert (ROOT / path).exists(), f"`{path}`: there is no such file"


def test_what_a_module_offers_is_there_and_in_order() -> None:
    """Constants, then classes, then functions, each by name: as ruff sorts them."""
    for name, module in modules().items():
        offered = list(getattr(module, "__all__", ()))
        assert offered == sorted(offered, key=lambda each: (_rank(each), each)), name
        for each in offered:
            assert hasattr(module, each), f"{name} offers {each}, which is not there"


def test_what_another_room_imports_is_offered() -> None:
    missing = {
        f"{module}.{name} (in {path.relative_to(SOURCE)})"
        for path in SOURCE.rglob("*.py")
        for module, name in _imported(path)
        if _room(module) != path.relative_to(SOURCE).parts[1]
        and f"{module}.{name}" not in modules()
        and name not in getattr(modules()[module], "__all__", ())
    }
    assert not missing, "add them to __all__ of the file that defines them, or import from there"


def _rank(name: str) -> int:
    return 0 if name.isupper() else 1 if name[0].isupper() else 2


def _imported(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headrace."):
            yield from ((str(node.module), each.name) for each in node.names)


def _room(module: str) -> str:
    return module.split(".")[1]
