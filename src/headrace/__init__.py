"""Headrace: everything between a user's prompt and a reliable answer, self-hosted.

Start at `cli/main.py` (commands), `server/` (one running service), `gateway/` (HTTP) and
`pipeline/` (the prompt's journey). Imports only go down: see `docs/architecture.md`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
