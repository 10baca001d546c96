"""The user's own package index settings, read the way pip reads them.

From lowest to highest: pip's configuration files (global, user, virtual environment, the one
that PIP_CONFIG_FILE names), then PIP_* variables, then uv's. Source: pip documentation,
"Configuration"; uv documentation, "Environment variables". Not read: uv.toml, pyproject.toml.
"""

import configparser
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["IndexSettings", "index_settings"]

DEFAULT_INDEX = "https://pypi.org/simple"
SYSTEM_FILE = Path("/etc/pip.conf")
_SECTIONS = ("global", "install", "download")
"""A later section wins, from whichever file it comes."""
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where packages come from."""

    indexes: list[str]
    """Simple-API addresses, in the order they are asked."""
    find_links: list[str] = field(default_factory=list)
    """Folders or pages with files of packages; asked before the indexes."""
    cert: str | None = None
    """File of certificates to trust."""
    trusted_hosts: list[str] = field(default_factory=list)
    """Hosts whose certificates are not checked."""
    proxy: str | None = None
    timeout_s: float = 15.0
    """Without a byte, before a server counts as silent."""


def index_settings(environ: Mapping[str, str]) -> IndexSettings:
    """What the user's files and environment say."""
    values = _from_files(environ)
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    first = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    index = first or values.get("index-url") or DEFAULT_INDEX
    extra = _words(values.get("extra-index-url"))
    extra += _words(environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL"))
    no_index = values.get("no-index") or environ.get("UV_NO_INDEX") or ""
    return IndexSettings(
        indexes=[] if no_index.lower() in _TRUE else [_unnamed(each) for each in (index, *extra)],
        find_links=_words(values.get("find-links"))
        + _words(environ.get("UV_FIND_LINKS", "").replace(",", " ")),
        cert=values.get("cert") or environ.get("SSL_CERT_FILE"),
        trusted_hosts=[each.partition(":")[0] for each in _words(values.get("trusted-host"))],
        proxy=values.get("proxy"),
        timeout_s=_seconds(values.get("timeout") or values.get("default-timeout")),
    )


def _words(value: str | None) -> list[str]:
    return (value or "").split()


def _unnamed(index: str) -> str:
    """uv lets an index have a name: `corp=https://…`."""
    return re.sub(r"\A[\w.-]+=(?=\w+:)", "", index)


def _seconds(value: str | None) -> float:
    try:
        return float(value or 15)
    except ValueError:
        return 15.0


def _from_files(environ: Mapping[str, str]) -> dict[str, str]:
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    for path in _files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue  # pip would refuse it; a damaged file must not keep a model from starting
        for name, values in sections.items():
            if parser.has_section(name):
                values.update(parser.items(name))
    merged = {name: value for each in sections.values() for name, value in each.items()}
    return {name.replace("_", "-"): value for name, value in merged.items()}


def _files(environ: Mapping[str, str]) -> list[Path]:
    given = environ.get("PIP_CONFIG_FILE")
    if given == os.devnull:
        return []
    files = [Path(each) / "pip" / "pip.conf" for each in _xdg_dirs(environ)]
    files.append(SYSTEM_FILE)
    if not (given and Path(given).exists()):
        # A file that is named stands in for the user's own.
        home = Path(environ.get("HOME") or Path.home())
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        files += [home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    files.append(Path(sys.prefix) / "pip.conf")
    if given:
        files.append(Path(given))
    return files


def _xdg_dirs(environ: Mapping[str, str]) -> list[str]:
    return (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")[::-1]
