"""How whoever waits for weights is told how far they are."""

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress"]

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called while fetching: what is being done, bytes so far, bytes in all if known.

Within one thing being done, the bytes only grow, unless a server makes it begin again. Called from
the thread that fetches; what it raises ends the fetch.
"""
