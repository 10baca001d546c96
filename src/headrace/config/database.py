"""The setting `database:`: where the state is, when not in a file of the home.

Commands ask for it alone (`database_setting`), so that a folder without the setting is not read,
and costs them nothing.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from headrace.config.node import Node, load_yaml

__all__ = ["database_setting", "read_database"]

_MENTIONED = re.compile(rb"\bdatabase[\"']?\s*:")
_SCHEMES = ("postgresql", "postgres")
_EXAMPLE = "write postgresql://USER:${DB_PASSWORD}@HOST/NAME"


def read_database(node: Node) -> str | None:
    """The address of the database in a whole headrace.yaml; None: a file of the home.

    Raises:
        ConfigError: it is no address of a PostgreSQL database. What it holds is never shown.
    """
    if not isinstance(node.value, dict) or node.value.get("database") is None:
        return None
    given = node.value["database"]
    if not isinstance(given, str):
        raise node.error("expected the address of a PostgreSQL database", "database", hint=_EXAMPLE)
    scheme, _, rest = given.partition("://")
    if scheme not in _SCHEMES:
        raise node.error(
            "only PostgreSQL is another database than the file in the home",
            "database",
            hint=f"leave the setting out, or {_EXAMPLE}",
        )
    try:
        parts = urlsplit(f"postgresql://{rest}")
        _ = parts.port
    except ValueError as error:
        raise node.error(
            "the address cannot be read; signs such as @ : / # in a password must be escaped",
            "database",
            hint="`@` is %40, `:` %3A, `/` %2F, `#` %23",
        ) from error
    if not parts.path.strip("/"):
        raise node.error("the address names no database", "database", hint=_EXAMPLE)
    return f"postgresql://{rest}"


def database_setting(root: Path, environ: Mapping[str, str]) -> str | None:
    """What the folder's headrace.yaml says of it.

    Raises:
        ConfigError: it is wrong, or the file that has it cannot be read.
    """
    path = root / "headrace.yaml"
    try:
        if not _MENTIONED.search(path.read_bytes()):
            return None
    except OSError:
        return None
    return read_database(load_yaml(path, environ))
