"""Privacy: personal text is encrypted at rest, under a key per subject.

Read `vault.py`. Nothing is re-exported here, because the cryptography library is heavy.
"""
