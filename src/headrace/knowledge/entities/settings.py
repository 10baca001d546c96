"""What the glossary (`entities:` or entities.yaml) may hold. Tables (CSV) are not read yet."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.config.node import Node, load_yaml

__all__ = ["Entity", "EntityKind", "Glossary", "read_entities"]

EntityKind: TypeAlias = Literal["person", "organisation", "place", "product", "other"]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\w")]


class Entity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that the service knows by name."""

    name: Name
    """Its canonical name."""
    kind: EntityKind = "other"
    """What it is."""
    aliases: tuple[Name, ...] = ()
    """Other names; two entities may share one, and the text around it decides."""
    description: str = ""
    """One sentence, given to the model as a fact."""
    document: str = ""
    """Address of its document in the knowledge base."""
    readers: tuple[str, ...] = ()
    """Roles that may be told of it; empty: everyone."""
    attributes: dict[str, str] = {}
    """Anything else."""


class Glossary(msgspec.Struct, frozen=True, kw_only=True):
    """All entities, with a version made of their content."""

    entities: tuple[Entity, ...] = ()
    version: str = ""


def read_entities(
    node: Node | None, root: Path, environ: Mapping[str, str] | None = None
) -> Glossary:
    """The section, or else entities.yaml in `root`; neither is an empty glossary.

    Raises:
        ConfigError: with file, line and field; also for one name given twice.
    """
    if node is None or node.value is None:
        path = root / "entities.yaml"
        if not path.exists():
            return Glossary()
        node = load_yaml(path, os.environ if environ is None else environ)
        if node.is_empty_file:
            return Glossary()
    entities = node.convert(tuple[Entity, ...])
    seen: set[str] = set()
    for index, entity in enumerate(entities):
        if entity.name in seen:
            raise node.error(f"{entity.name!r} is there twice", index, "name")
        seen.add(entity.name)
    digest = hashlib.sha256(msgspec.json.encode(entities, order="sorted")).hexdigest()
    return Glossary(entities=entities, version=digest[:16])
