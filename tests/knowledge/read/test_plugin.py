"""A reader that a user brings in a package of their own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.read import _reader, _readers, read
from headrace.knowledge.read.source import Source

PAGE = (Path(__file__).parents[3] / "docs" / "knowledge-reading.md").read_text("utf-8")
READER = PAGE.partition("```python\n")[2].partition("```")[0]
"""The example of the docs."""
SUBTITLES = b"1\n00:00:01 --> 00:00:02\nHello.\n\n2\n00:00:03 --> 00:00:04\nBye."
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package on the path, as pip would."""

    def put(code: str, package: str = "acme_readers", name: str = "srt") -> None:
        (tmp_path / f"{package}.py").write_text(code, "utf-8")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[headrace.readers]\n{name} = {package}:read\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        forget()

    def forget() -> None:
        _readers.cache_clear()
        _reader.cache_clear()

    yield put
    monkeypatch.undo()
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)
    forget()


def test_a_reader_of_ones_own_reads_its_ending(install: Install) -> None:
    install(READER)
    (document,) = read(Source(uri="talk.srt", data=SUBTITLES))
    assert document.text == "Hello.\n\nBye."


def test_a_reader_may_go_by_a_media_type(install: Install) -> None:
    install(READER, package="acme_types", name="application/x-subrip")
    source = Source(uri="http://a.test/1", data=SUBTITLES, media_type="application/x-subrip")
    assert read(source)[0].text == "Hello.\n\nBye."


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def read(source, settings): return 1 / 0", "'srt' failed: ZeroDivisionError"),
        ("import absent_package", "acme_broken 1.0 cannot be loaded: No module"),
    ],
)
def test_a_reader_that_fails_is_named(install: Install, code: str, reason: str) -> None:
    install(code, package="acme_broken")
    with pytest.raises(UnreadableDocument, match=reason) as caught:
        read(Source(uri="talk.srt", data=SUBTITLES))
    assert caught.value.hint


def test_two_readers_of_one_ending_are_an_error(install: Install) -> None:
    install(READER)
    install(READER, package="other_readers")
    with pytest.raises(UnreadableDocument, match=r"acme_readers 1\.0, other_readers 1\.0"):
        read(Source(uri="talk.srt", data=SUBTITLES))
