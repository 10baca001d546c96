"""The knowledge base of a service: opened with it, closed once nobody can be searching any more."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.config.model import ServiceConfig
from headrace.knowledge.entities.settings import Glossary, read_entities
from headrace.knowledge.passage import Retriever
from headrace.models.box import ModelBox
from headrace.models.embedder import ModelEmbedder
from headrace.models.tuned import SERVED_FILE
from headrace.pipeline.service import Service
from headrace.prompts.store import TAGS_FILE
from headrace.releases.channel import SERVING_FILE

__all__ = ["CURRENT", "open_knowledge", "read_glossary", "retire", "watched_files"]

CURRENT = "knowledge/current"
"""Names the index's version, below the home; written last by whoever makes a new one."""
_LONGEST_TURN_S = 60.0
"""A turn that began with an older service may still look something up; later searches fail."""


def open_knowledge(config: ServiceConfig, home: Path, models: ModelBox) -> Retriever | None:
    """The newest version of what `knowledge:` declares; None when it declares nothing.

    Raises:
        ConfigError: the section is wrong.
        UnknownModel: no model has the name it gives.
        KnowledgeUnusable: the index cannot be read.
    """
    if config.knowledge is None:
        return None
    # NumPy and SQLite: only for services that have knowledge.
    from headrace.knowledge.index.place import IndexPlace
    from headrace.knowledge.settings import read_knowledge

    section = read_knowledge(config.knowledge)
    embedder = ModelEmbedder(models.get(section.model))
    return IndexPlace(home, config.database).base(embedder, section.retrieval)


def read_glossary(config: ServiceConfig, home: Path, environ: Mapping[str, str]) -> Glossary:
    """The names that the service knows, with the titles of its documents if they are to be names.

    Raises:
        ConfigError: a name is wrong, with file and line.
        KnowledgeUnusable: the index cannot be read.
    """
    glossary = read_entities(config.entities, config.root, environ)
    if not glossary.documents or config.knowledge is None:
        return glossary
    from headrace.knowledge.entities.titled import entities_of_documents
    from headrace.knowledge.index.place import IndexPlace

    documents = IndexPlace(home, config.database).documents()
    found = ((each.title, each.uri, each.readers) for each in documents)
    return glossary.with_entities(tuple(entities_of_documents(found)))


def watched_files(home: Path) -> Sequence[Path]:
    """The files of the home that a service is made of: another version of any makes a new one."""
    return [home / TAGS_FILE, home / CURRENT, home / SERVING_FILE, home / SERVED_FILE]


async def retire(new: Service, old: Service, *, unused: bool = False) -> None:
    """End what only the old service used, once its turns have ended.

    Args:
        unused: nobody has asked the old one yet, so there is nothing to wait for.
    """
    try:
        if unused:
            await new.models.retire(old.models, quiet_s=0)
        else:
            await new.models.retire(old.models)
            if old.knowledge is not None or old.tools is not None:
                await asyncio.sleep(_LONGEST_TURN_S)
    finally:
        if old.tools is not None:
            await old.tools.close()
        if old.knowledge is not None:
            old.knowledge.close()
