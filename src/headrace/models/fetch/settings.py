"""The user's own package index settings, read the way pip reads them.

From lowest to highest: pip's configuration files (global, user, virtual environment, the one
that PIP_CONFIG_FILE names), then PIP_* variables, then uv's. Source: pip documentation,
"Configuration".
"""

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["IndexSettings", "index_settings"]

DEFAULT_INDEX = "https://pypi.org/simple"


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where packages come from."""

    indexes: list[str]
    """Simple-API addresses, in the order they are asked."""
    find_links: list[str] = field(default_factory=list)
    """Folders (or pages) with files of packages."""
    cert: str | None = None
    """File of certificates to trust."""
    trusted_hosts: list[str] = field(default_factory=list)
    proxy: str | None = None
    timeout_s: float = 15.0


def index_settings(environ: Mapping[str, str]) -> IndexSettings:
    """What the user's files and environment say."""
    values = _from_files(environ)
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    first = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    index = first or values.get("index-url") or DEFAULT_INDEX
    extra = _words(values.get("extra-index-url")) + _words(
        environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL")
    )
    return IndexSettings(
        indexes=[] if values.get("no-index", "") in ("1", "true") else [index, *extra],
        find_links=_words(values.get("find-links")),
        cert=values.get("cert") or environ.get("SSL_CERT_FILE"),
        trusted_hosts=_words(values.get("trusted-host")),
        proxy=values.get("proxy"),
        timeout_s=float(values.get("timeout") or values.get("default-timeout") or 15),
    )


def _words(value: str | None) -> list[str]:
    return (value or "").split()


def _from_files(environ: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for path in _files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip would refuse it; a damaged file must not keep a model from starting
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                values.update(parser.items(section))
    return {name.replace("_", "-"): value for name, value in values.items()}


def _files(environ: Mapping[str, str]) -> list[Path]:
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    system = [Path(each) / "pip" / "pip.conf" for each in _xdg_dirs(environ)]
    files = [
        *system,
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        config / "pip" / "pip.conf",
    ]
    files.append(Path(sys.prefix) / "pip.conf")
    if given := environ.get("PIP_CONFIG_FILE"):
        files.append(Path(given))
    return files


def _xdg_dirs(environ: Mapping[str, str]) -> list[str]:
    return (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")[::-1]
