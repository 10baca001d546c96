"""The index on PostgreSQL, with pgvector. Read schema.py, store.py, snapshot.py."""
