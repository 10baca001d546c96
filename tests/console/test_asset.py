"""Static files: what is vendored is what was published, and every file can be cached for ever."""

import gzip
import hashlib
import re
from pathlib import Path

import headrace.console
from headrace.console.asset import Assets

STATIC = Path(str(headrace.console.__path__[0])) / "static"
VENDOR = STATIC / "vendor"
_ROW = re.compile(
    r"^\| (\S+) \| (\S+@\S+) \| \S+ \| .*?(\S+LICENSE) \| ([0-9a-f]{64}) \|", re.MULTILINE
)


def test_vendored_files_are_those_of_their_packages() -> None:
    listed = {file: digest for file, _, _, digest in _rows()}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")
    }
    assert found == listed


def test_vendored_files_have_their_version_and_licence() -> None:
    for file, package, licence, _ in _rows():
        version = package.rpartition("@")[2]
        assert version in (VENDOR / file).read_text("utf-8"), file
        assert (VENDOR / licence).stat().st_size > 500, licence


def test_an_address_changes_with_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    before = Assets(tmp_path).address("a.js")
    (tmp_path / "a.js").write_text("2")
    after = Assets(tmp_path).address("a.js")
    assert before != after


def test_scripts_use_no_code_from_text() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text("utf-8")
        for forbidden in (
            "eval(",
            "new Function",
            ".outerHTML",
            "insertAdjacentHTML",
            "javascript:",
        ):
            assert forbidden not in text, (path.name, forbidden)
        # One door only (trust.js); everywhere else elements are built or text is set.
        assert path.name == "trust.js" or ".innerHTML" not in text, path.name


def test_all_that_a_page_loads_is_small() -> None:
    served = [path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".svg")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in served) < 80_000


def _rows() -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = _ROW.findall((VENDOR / "README.md").read_text("utf-8"))
    assert len(rows) == 4
    return rows
