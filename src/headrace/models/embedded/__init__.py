"""The embedded runtime: llama.cpp in a supervised process of its own.

Read backend.py (what the model box sees), supervisor.py (keeping the process alive), worker.py
(the process), request.py / stream.py / errors.py (its wire).
"""

from headrace.models.embedded.backend import EmbeddedBackend

__all__ = ["EmbeddedBackend"]
