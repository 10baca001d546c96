"""The index: what is searched. Read term.py, postings.py, store.py, snapshot.py, retriever.py."""
