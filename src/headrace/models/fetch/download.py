"""Downloading one file over HTTP, resumed where it stopped, also in a later process.

Bytes arrive in `FILE.part`; beside it `FILE.part.json` keeps the validator (ETag or
Last-Modified) with which the server is asked to go on. Source: RFC 9110, sections 13.1.5 and 14.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.models.errors import WeightsUnavailable
from headrace.models.progress import Progress

if TYPE_CHECKING:
    import httpx

__all__ = ["download", "explained"]

ATTEMPTS = 5
"""Connections tried in a row without a single new byte before giving up."""
LONGEST_PAUSE_S = 5.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be gone at the next attempt."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Resume(msgspec.Struct):
    source: str
    """SHA-256 of the address: the address itself may hold a password."""
    validator: str


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn transport errors into one that says what could not be fetched, and what to do."""
    import httpx

    try:
        yield
    except httpx.HTTPStatusError as error:
        raise WeightsUnavailable(
            f"{what}: the server {error.request.url.host} answered {error.response.status_code}",
            hint="check the reference, and the credentials for that server",
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        host = ""
        if isinstance(error, httpx.RequestError):
            host = f" from {error.request.url.host}" if error.request else ""
        raise WeightsUnavailable(
            f"{what} cannot be fetched{host}: {error or type(error).__name__}",
            hint="check the network and proxy settings and try again: what has arrived is kept; "
            "offline, copy the GGUF file here and set `weights: file:PATH`",
        ) from error


def download(client: "httpx.Client", url: str, target: Path, what: str, report: Progress) -> None:
    """Fetch `url` into `target`; a partial file from before is continued if it is still the same.

    Raises:
        httpx.HTTPError: the transfer failed for good.
        OSError: it cannot be written.
    """
    import httpx

    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _continue(client, url, part, what, report)
        except httpx.HTTPError as error:
            if not _may_pass(error):
                raise
            failures = 0 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise
            time.sleep(min(0.1 * 2**failures, LONGEST_PAUSE_S))
            continue
        part.replace(target)
        _note(part).unlink(missing_ok=True)
        return


def _may_pass(error: "httpx.HTTPError") -> bool:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in PASSING
    return isinstance(error, httpx.TransportError)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _continue(client: "httpx.Client", url: str, part: Path, what: str, report: Progress) -> None:
    have, headers = _have(part, url)
    # Asking for the bytes as they are: a length that counts compressed bytes could not be resumed.
    with client.stream("GET", url, headers={**headers, "accept-encoding": "identity"}) as reply:
        if have and (
            reply.status_code == 416 or (reply.status_code == 206 and not _goes_on(reply, have))
        ):
            # What is here does not fit what the server has now: begin again.
            part.unlink()
            return _continue(client, url, part, what, report)
        reply.raise_for_status()
        if reply.status_code != 206:
            have = 0
        validator = reply.headers.get("etag") or reply.headers.get("last-modified") or ""
        _note(part).write_bytes(msgspec.json.encode(_Resume(_fingerprint(url), validator)))
        length = reply.headers.get("content-length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as handle:
            for piece in reply.iter_bytes():
                handle.write(piece)
                have += len(piece)
                report(what, have, total)
    return None


def _goes_on(reply: "httpx.Response", have: int) -> bool:
    """Whether these are the bytes that follow the `have` that are here."""
    match = _RANGE.match(reply.headers.get("content-range", ""))
    return match is not None and int(match[1]) == have


def _fingerprint(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _have(part: Path, url: str) -> tuple[int, dict[str, str]]:
    """Bytes that are here already, and the headers that ask for the rest."""
    try:
        note = msgspec.json.decode(_note(part).read_bytes(), type=_Resume)
        size = part.stat().st_size
    except (FileNotFoundError, msgspec.MsgspecError):
        return 0, {}
    weak = note.validator.startswith("W/")
    if note.source != _fingerprint(url) or not size or not note.validator or weak:
        return 0, {}
    return size, {"range": f"bytes={size}-", "if-range": note.validator}
