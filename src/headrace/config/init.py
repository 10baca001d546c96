"""What `headrace init` writes: a starting service that runs as it is, with comments to learn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from headrace.config.node import shown_path
from headrace.config.struct_schema import Schema
from headrace.errors import ConfigError

__all__ = ["SCHEMA_FILES", "Started", "write_service"]

_FILES: Final = {
    "headrace.yaml": "headrace.yaml",
    "prompts/assistant.yaml": "prompts/assistant.yaml",
    "policies/default.yaml": "policies/default.yaml",
    # Not under its own name here: git would obey it inside this package.
    "gitignore": ".gitignore",
    "README.md": "README.md",
}
SCHEMA_FILES: Final = {
    "service": "schema/headrace.json",
    "prompt": "schema/prompt.json",
    "policy": "schema/policy.json",
    "catalogue": "schema/catalogue.json",
    "suite": "schema/suite.json",
}
"""Where the schema of each kind of file goes, for editors; the YAML files name them."""


@dataclass(frozen=True, slots=True)
class Started:
    """What was done in the folder."""

    folder: Path
    written: list[Path]
    kept: list[Path]
    """Files that were there already; they were not touched."""


def write_service(folder: Path, schemas: Mapping[str, Schema]) -> Started:
    """Write a starting service into `folder`, which is made if need be.

    Nothing is ever overwritten.

    Args:
        folder: where it goes.
        schemas: the JSON Schemas `service`, `prompt`, `policy`, `catalogue` and `suite`.

    Raises:
        ConfigError: a service is there already, or the folder cannot be written.
    """
    declared = folder / "headrace.yaml"
    if declared.is_symlink() or declared.exists():
        raise ConfigError(
            f"{shown_path(folder)} holds a service already ({shown_path(declared)})",
            hint="`headrace up` runs it; `headrace init DIR` writes another one into DIR",
        )
    source = resources.files("headrace.config").joinpath("scaffold")
    texts = {target: source.joinpath(name).read_text("utf-8") for name, target in _FILES.items()}
    for name, target in SCHEMA_FILES.items():
        texts[target] = msgspec.json.format(msgspec.json.encode(schemas[name]), indent=2).decode()
    started = Started(folder, [], [])
    # headrace.yaml last: until it is there, the folder is no service and `init` can run again.
    for target in sorted(texts, key=lambda each: each == "headrace.yaml"):
        path = folder / target
        (started.written if _write_new(path, texts[target]) else started.kept).append(path)
    return started


def _write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet; False when it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        if path.is_symlink() or path.exists():
            return False
        raise _unwritable(path, error) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    return True


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{shown_path(path)} cannot be written: {error.strerror}",
        hint="make the folder writable, or name another: headrace init DIR",
    )
