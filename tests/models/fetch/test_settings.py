"""Whose package index is asked: what the user told pip and uv."""

import sys
from pathlib import Path

import pytest

from headrace.models.fetch import settings
from headrace.models.fetch.settings import DEFAULT_INDEX, index_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user, a virtual environment and a machine without settings."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "etc" / "pip.conf")
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def environ(home: Path, **names: str) -> dict[str, str]:
    return {"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "xdg"), **names}


def test_files_win_over_one_another_from_global_to_the_named_one(home: Path) -> None:
    seen: list[str] = []
    named = home / "named.conf"
    for place in (
        home / "xdg" / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
        home / ".config" / "pip" / "pip.conf",
        home / "venv" / "pip.conf",
        named,
    ):
        write(place, f"[global]\nindex-url = https://{len(seen)}.example/simple\n")
        found = index_settings(environ(home, PIP_CONFIG_FILE=str(named)))
        seen.append(found.indexes[0])
    assert seen == [f"https://{i}.example/simple" for i in range(5)]


def test_a_named_file_stands_in_for_the_users_own(home: Path) -> None:
    write(home / ".config" / "pip" / "pip.conf", "[global]\nproxy = http://mine:1\n")
    named = write(home / "named.conf", "[global]\ntimeout = 3\n")
    found = index_settings(environ(home, PIP_CONFIG_FILE=str(named)))
    assert (found.proxy, found.timeout_s) == (None, 3.0)


def test_no_file_is_read_where_pip_is_told_so(home: Path) -> None:
    write(home / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://a.example\n")
    found = index_settings(environ(home, PIP_CONFIG_FILE="/dev/null"))
    assert found.indexes == [DEFAULT_INDEX]


def test_the_section_install_wins_over_global(home: Path) -> None:
    write(home / "venv" / "pip.conf", "[global]\nindex-url = https://global.example\n")
    write(home / ".pip" / "pip.conf", "[install]\nindex_url = https://install.example\n")
    assert index_settings(environ(home)).indexes[0] == "https://install.example"


def test_variables_win_over_files_and_uvs_over_pips(home: Path) -> None:
    write(home / ".pip" / "pip.conf", "[global]\nindex-url = https://file.example\n")
    names = {"PIP_INDEX_URL": "https://pip.example"}
    assert index_settings(environ(home, **names)).indexes[0] == "https://pip.example"
    names["UV_DEFAULT_INDEX"] = "corp=https://uv.example/simple"
    assert index_settings(environ(home, **names)).indexes[0] == "https://uv.example/simple"


def test_further_indexes_come_after_the_first_one(home: Path) -> None:
    found = index_settings(
        environ(
            home,
            PIP_CONFIG_FILE="/dev/null",
            PIP_INDEX_URL="https://a.example",
            PIP_EXTRA_INDEX_URL="https://b.example\n  https://c.example",
            UV_INDEX="https://d.example",
        )
    )
    assert found.indexes == [f"https://{name}.example" for name in "abcd"]


def test_no_index_leaves_the_links(home: Path) -> None:
    found = index_settings(
        environ(
            home,
            PIP_CONFIG_FILE="/dev/null",
            PIP_NO_INDEX="true",
            PIP_FIND_LINKS="/wheels",
            UV_FIND_LINKS="/more,https://links.example",
        )
    )
    assert found.indexes == []
    assert found.find_links == ["/wheels", "/more", "https://links.example"]


@pytest.mark.parametrize("text", ["[global\nindex-url = x", "\xff\xfe", "index-url = x"])
def test_a_damaged_file_is_passed_over(home: Path, text: str) -> None:
    write(home / ".pip" / "pip.conf", "").write_bytes(text.encode("latin-1"))
    assert index_settings(environ(home)).indexes[0] == DEFAULT_INDEX


def test_a_time_limit_that_is_no_number_is_passed_over(home: Path) -> None:
    assert index_settings(environ(home, PIP_TIMEOUT="soon")).timeout_s == 15.0
