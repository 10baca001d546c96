"""The knowledge base of a running service."""

from headrace.knowledge.index.store import CURRENT_FILE
from headrace.server.knowledge import CURRENT


def test_the_file_that_is_watched_is_the_one_that_a_sync_writes_last() -> None:
    assert CURRENT == CURRENT_FILE
