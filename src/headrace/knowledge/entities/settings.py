"""What the glossary (`entities:`, entities.yaml, entities.csv) may hold."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.config.node import Node, load_yaml

__all__ = [
    "EntitiesSection",
    "EntitiesSettings",
    "Entity",
    "EntityKind",
    "Glossary",
    "read_entities",
]

EntityKind: TypeAlias = Literal["person", "organisation", "place", "product", "document", "other"]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\w")]


class Entity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that the service knows by name (`entities.names[]`)."""

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
    """Anything else; its words help to tell namesakes apart."""


class EntitiesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names that the service knows, and what is made of a text's (`entities:` or entities.yaml)."""

    names: tuple[Entity, ...] = ()
    """The glossary; more may stand in entities.csv."""
    documents: bool = False
    """Whether titles of documents in the knowledge base are names, too."""
    typos: bool = True
    """Whether names of seven letters and more are found with one typing error."""
    guess: bool = True
    """Whether people, organisations and places that are not in the glossary are noted in traces."""


EntitiesSection: TypeAlias = tuple[Entity, ...] | EntitiesSettings
"""The type of the section: the list of names alone is the short form."""


class Glossary(msgspec.Struct, frozen=True, kw_only=True):
    """All entities, with a version made of their content."""

    entities: tuple[Entity, ...] = ()
    version: str = ""
    documents: bool = False
    typos: bool = True
    guess: bool = True

    def with_entities(self, more: Sequence[Entity]) -> "Glossary":
        """With entities that are not of the glossary's files; those of its names stay out."""
        known = {each.name for each in self.entities}
        added = tuple(each for each in more if each.name not in known)
        return _versioned(msgspec.structs.replace(self, entities=(*self.entities, *added)))


def read_entities(
    node: Node | None, root: Path, environ: Mapping[str, str] | None = None
) -> Glossary:
    """The section, or else entities.yaml in `root`, with entities.csv; none is an empty glossary.

    Raises:
        ConfigError: with file, line and field; also for one name given twice.
    """
    from headrace.knowledge.entities.table import TABLE, read_table

    if node is None or node.value is None:
        path = root / "entities.yaml"
        node = None
        if path.exists():
            node = load_yaml(path, os.environ if environ is None else environ)
    settings = EntitiesSettings()
    if node is not None and not node.is_empty_file:
        settings = _settings(node)
    names = settings.names
    if (root / TABLE).exists():
        names = (*names, *read_table(root / TABLE, {each.name for each in names}))
    return _versioned(
        Glossary(
            entities=names,
            documents=settings.documents,
            typos=settings.typos,
            guess=settings.guess,
        )
    )


def _settings(node: Node) -> EntitiesSettings:
    if isinstance(node.value, list):
        settings = EntitiesSettings(names=node.convert(tuple[Entity, ...]))
    else:
        settings = node.convert(EntitiesSettings)
        if settings.names:
            node = node.child("names")
    seen: set[str] = set()
    for index, entity in enumerate(settings.names):
        if entity.name in seen:
            raise node.error(f"{entity.name!r} is there twice", index, "name")
        seen.add(entity.name)
    return settings


def _versioned(glossary: Glossary) -> Glossary:
    plain = msgspec.structs.replace(glossary, version="")
    if plain == Glossary():
        return plain
    digest = hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()
    return msgspec.structs.replace(glossary, version=digest[:16])
