"""The embedded runtime: llama.cpp in a supervised process of its own.

Read backend.py (what the model box sees), supervisor.py (keeping the process alive), worker.py
(the process), request.py / stream.py / errors.py (its wire).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.models.embedded.backend import EmbeddedBackend

__all__ = ["EmbeddedBackend"]


def __getattr__(name: str) -> object:
    # Imported on first use: the worker comes through this door too, and needs none of it.
    if name == "EmbeddedBackend":
        from headrace.models.embedded.backend import EmbeddedBackend

        return EmbeddedBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
