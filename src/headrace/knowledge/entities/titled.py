"""Documents as entities: their titles are names, told only to those who may read them."""

import re
from collections.abc import Iterable, Iterator, Sequence

from headrace.knowledge.entities.settings import Entity

__all__ = ["entities_of_documents"]

_HAN = re.compile("[\u4e00-\u9fff]")
_LONGEST = 100
_LEAST_SIGNS = 4


def entities_of_documents(titled: Iterable[tuple[str, str, Sequence[str]]]) -> Iterator[Entity]:
    """An entity for each document whose title is a name.

    A title of one word ("Leave") or of less than four Chinese signs would be found in every other
    question, so such documents have none.

    Args:
        titled: title, uri and readers of each document.
    """
    for title, uri, readers in titled:
        name = " ".join(title.split())
        signs = len(_HAN.findall(name))
        is_name = signs >= _LEAST_SIGNS or len(re.findall(r"\w+", name)) > 1
        if is_name and len(name) <= _LONGEST:
            yield Entity(
                name=name,
                kind="document",
                description="a document of the knowledge base",
                document=uri,
                readers=tuple(readers),
            )
