"""Downloading one file over HTTP, resumed where it stopped, also in a later process.

Bytes arrive in `FILE.part`; beside it `FILE.part.json` keeps the validator (ETag or
Last-Modified) with which the server is asked to go on. Source: RFC 9110, sections 13.1.5 and 14.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.models.errors import WeightsUnavailable
from headrace.models.store import Progress

if TYPE_CHECKING:
    import httpx

__all__ = ["download", "explained"]

ATTEMPTS = 5
"""Connections tried in a row without a single new byte before giving up."""


class _Resume(msgspec.Struct):
    url: str
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
        before = part.stat().st_size if part.exists() else 0
        try:
            _continue(client, url, part, what, report)
        except (httpx.TransportError, httpx.RemoteProtocolError):
            now = part.stat().st_size if part.exists() else 0
            failures = 0 if now > before else failures + 1
            if failures >= ATTEMPTS:
                raise
            time.sleep(min(0.2 * 2**failures, 5.0))
            continue
        part.replace(target)
        _note(part).unlink(missing_ok=True)
        return


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _continue(client: "httpx.Client", url: str, part: Path, what: str, report: Progress) -> None:
    have, headers = _have(part, url)
    # Asking for the bytes as they are: a length that counts compressed bytes could not be resumed.
    with client.stream("GET", url, headers={**headers, "accept-encoding": "identity"}) as reply:
        if reply.status_code == 416 and have:
            # What is here is longer than the file now is: begin again.
            part.unlink()
            return _continue(client, url, part, what, report)
        reply.raise_for_status()
        if reply.status_code != 206:
            have = 0
        validator = reply.headers.get("etag") or reply.headers.get("last-modified") or ""
        _note(part).write_bytes(msgspec.json.encode(_Resume(url, validator)))
        length = reply.headers.get("content-length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as handle:
            for piece in reply.iter_bytes(1 << 18):
                handle.write(piece)
                have += len(piece)
                report(what, have, total)
    return None


def _have(part: Path, url: str) -> tuple[int, dict[str, str]]:
    """Bytes that are here already, and the headers that ask for the rest."""
    try:
        note = msgspec.json.decode(_note(part).read_bytes(), type=_Resume)
        size = part.stat().st_size
    except (FileNotFoundError, msgspec.MsgspecError):
        return 0, {}
    weak = note.validator.startswith("W/")
    if note.url != url or not size or not note.validator or weak:
        return 0, {}
    return size, {"range": f"bytes={size}-", "if-range": note.validator}
