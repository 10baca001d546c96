"""What is in the index on PostgreSQL, to look at."""

from contextlib import closing

from headrace.knowledge.index.list import DOCUMENTS, Listed, Statistics
from headrace.knowledge.index.postgres.schema import SCHEMA, connect, guarded, is_made, meta

__all__ = ["documents", "statistics"]


def documents(server: str) -> list[Listed]:
    """Every document, by name. Raises KnowledgeUnusable."""
    with guarded(), closing(connect(server)) as database:
        if not is_made(database):
            return []
        rows = database.execute(f'{DOCUMENTS} WHERE died IS NULL ORDER BY uri COLLATE "C", id')
        return [Listed.of(row) for row in rows]


def statistics(server: str) -> Statistics:
    """How much there is; nothing where there is no index. Raises KnowledgeUnusable."""
    with guarded(), closing(connect(server)) as database:
        if not is_made(database):
            return Statistics()
        texts, chunks, size = database.execute(
            "SELECT (SELECT count(*) FROM document WHERE died IS NULL),"
            " (SELECT count(*) FROM embedding WHERE died IS NULL),"
            " (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
            " WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(%s))",
            (SCHEMA,),
        ).fetchone() or (0, 0, 0)
        version = meta(database, "version")
    return Statistics(version=version, documents=texts, chunks=chunks, size_bytes=size)
