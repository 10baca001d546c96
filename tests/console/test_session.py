"""Session cookies name a key, cannot be forged, and end."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.console.session import LIFETIME_S, SESSION_FILE, Sessions

NOW = 1_800_000_000.0


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions.open(tmp_path)


def test_a_cookie_names_the_key_it_was_issued_for(sessions: Sessions) -> None:
    assert sessions.key_id(sessions.issue("key-1", now=NOW), now=NOW) == "key-1"


def test_a_cookie_ends_after_its_lifetime(sessions: Sessions) -> None:
    cookie = sessions.issue("key-1", now=NOW)
    assert sessions.key_id(cookie, now=NOW + LIFETIME_S - 1) == "key-1"
    assert sessions.key_id(cookie, now=NOW + LIFETIME_S + 1) is None


@given(cookie=st.text() | st.from_regex(r"\A[a-z0-9-]{1,40}\.[0-9]{1,10}\.[0-9a-f]{64}\Z"))
def test_nobody_else_can_write_a_cookie(cookie: str) -> None:
    assert Sessions(b"s" * 32).key_id(cookie, now=NOW) is None


@given(at=st.integers(0, 200), put=st.characters())
def test_a_changed_cookie_is_worthless(at: int, put: str) -> None:
    sessions = Sessions(b"s" * 32)
    cookie = sessions.issue("key-1", now=NOW)
    changed = cookie[: at % len(cookie)] + put + cookie[at % len(cookie) + 1 :]
    assert changed == cookie or sessions.key_id(changed, now=NOW) is None


def test_a_cookie_outlives_a_restart(tmp_path: Path) -> None:
    cookie = Sessions.open(tmp_path).issue("key-1", now=NOW)
    assert Sessions.open(tmp_path).key_id(cookie, now=NOW) == "key-1"


def test_the_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    Sessions.open(tmp_path)
    mode = (tmp_path / SESSION_FILE).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("damage", [b"", b"short"], ids=["empty", "cut off"])
def test_a_damaged_secret_signs_out_and_is_replaced(tmp_path: Path, damage: bytes) -> None:
    cookie = Sessions.open(tmp_path).issue("key-1", now=NOW)
    (tmp_path / SESSION_FILE).write_bytes(damage)
    fresh = Sessions.open(tmp_path)
    assert fresh.key_id(cookie, now=NOW) is None
    assert fresh.key_id(fresh.issue("key-1", now=NOW), now=NOW) == "key-1"


def test_two_services_on_one_host_use_different_cookies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = Sessions.open(tmp_path / "a"), Sessions.open(tmp_path / "b")
    assert first.cookie_name != second.cookie_name
    assert second.key_id(first.issue("key-1", now=NOW), now=NOW) is None
