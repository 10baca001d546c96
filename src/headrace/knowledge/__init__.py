"""Knowledge: documents are read, cut into chunks, embedded and indexed; passages are retrieved."""

from headrace.knowledge.passage import Passage, Retriever

__all__ = ["Passage", "Retriever"]
