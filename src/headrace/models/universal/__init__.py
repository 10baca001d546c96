"""The multilingual Universal Sentence Encoder, version 3, in NumPy: sixteen languages on a CPU.

Read settings.py, piece.py (the vocabulary's file), tokenizer.py, network.py, backend.py.
"""

from headrace.models.universal.backend import UniversalBackend, UniversalSettings

__all__ = ["UniversalBackend", "UniversalSettings"]
