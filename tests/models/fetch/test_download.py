"""Downloads: continued where they stopped, begun again when the file is another."""

from pathlib import Path

import httpx
import pytest

from headrace.models.errors import WeightsUnavailable
from headrace.models.fetch.download import download, explained
from tests.models.origin import Origin

BODY = bytes(range(256)) * 4096  # 1 MiB
Seen = list[tuple[str, int, int | None]]


def fetch(origin: Origin, target: Path) -> Seen:
    seen: Seen = []
    with httpx.Client(timeout=5) as client, explained("the file"):
        download(
            client, origin.url("/f"), target, "fetching", lambda *each: seen.append(tuple(each))
        )
    return seen


class Stopped(Exception):
    """The user has had enough."""


def fetch_some(origin: Origin, target: Path, url: str = "") -> None:
    """Begin to fetch, and stop after the first bytes."""

    def stop(_: str, so_far: int, __: int | None) -> None:
        if so_far:
            raise Stopped

    with httpx.Client(timeout=5) as client, pytest.raises(Stopped):
        download(client, url or origin.url("/f"), target, "fetching", stop)


@pytest.fixture
def target(tmp_path: Path, origin: Origin) -> Path:
    origin.files["/f"] = BODY
    return tmp_path / "f"


def ranges(origin: Origin) -> list[str | None]:
    return [headers.get("range") for headers in origin.headers_of("/f")]


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(origin: Origin, target: Path) -> None:
    origin.cuts.extend([300_000, 200_000])
    fetch(origin, target)
    assert target.read_bytes() == BODY
    assert ranges(origin) == [None, "bytes=300000-", "bytes=500000-"]


def test_nothing_but_the_file_is_left_behind(origin: Origin, target: Path) -> None:
    origin.cuts.append(300_000)
    fetch(origin, target)
    assert list(target.parent.iterdir()) == [target]


def test_progress_only_grows_and_knows_the_total_across_a_break(
    origin: Origin, target: Path
) -> None:
    origin.cuts.append(300_000)
    seen = fetch(origin, target)
    done = [so_far for _, so_far, _ in seen]
    assert done == sorted(done)
    assert done[-1] == len(BODY)
    assert {total for _, _, total in seen} == {len(BODY)}


def test_another_file_under_the_same_address_begins_again(origin: Origin, target: Path) -> None:
    fetch_some(origin, target)
    origin.etag, origin.files["/f"] = '"v2"', BODY[::-1]
    fetch(origin, target)
    assert target.read_bytes() == BODY[::-1]


def test_a_weak_validator_is_not_trusted_to_continue(origin: Origin, target: Path) -> None:
    origin.etag = 'W/"v1"'
    origin.cuts.append(300_000)
    fetch(origin, target)
    assert target.read_bytes() == BODY
    assert ranges(origin) == [None, None]


def test_a_file_that_has_become_shorter_begins_again(origin: Origin, target: Path) -> None:
    fetch_some(origin, target)
    origin.files["/f"] = b"short"
    fetch(origin, target)
    assert target.read_bytes() == b"short"


def test_a_server_that_is_busy_for_a_moment_is_asked_again(origin: Origin, target: Path) -> None:
    origin.statuses.extend([503, 429])
    fetch(origin, target)
    assert target.read_bytes() == BODY


def test_a_refusal_is_final_and_names_the_server(origin: Origin, target: Path) -> None:
    origin.statuses.append(403)
    with pytest.raises(WeightsUnavailable, match=r"the server 127\.0\.0\.1 answered 403"):
        fetch(origin, target)
    assert len(origin.asked) == 1


def test_a_server_that_gives_no_byte_is_given_up_and_what_came_is_kept(
    origin: Origin, target: Path
) -> None:
    origin.cuts.extend([300_000] + [0] * 5)
    with pytest.raises(WeightsUnavailable, match="cannot be fetched") as caught:
        fetch(origin, target)
    assert "weights: file:PATH" in caught.value.hint
    assert (target.parent / "f.part").stat().st_size == 300_000


def test_the_note_beside_a_partial_file_holds_no_password(origin: Origin, target: Path) -> None:
    fetch_some(origin, target, origin.url("/f", host="me:hunter2@127.0.0.1"))
    assert b"hunter2" not in (target.parent / "f.part.json").read_bytes()
