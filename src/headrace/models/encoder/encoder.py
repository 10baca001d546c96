"""A loaded sentence encoder: texts to tokens, tokens to vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encoder", "Tokens", "cut", "unit_rows"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text as the model reads it."""

    ids: list[int]
    is_cut: bool
    """Whether the text had more tokens than count."""


class Encoder(Protocol):
    """Methods compute, so they belong in a thread."""

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Each text's tokens, cut to what counts."""
        ...

    def vectors(self, batch: Sequence[Tokens]) -> "NDArray[np.float32]":
        """One row a text, of unit length."""
        ...


def cut(ids: list[int], most: int) -> Tokens:
    """The first tokens of a text; the last one stays the tokenizer's own end."""
    if len(ids) <= most:
        return Tokens(ids, is_cut=False)
    return Tokens([*ids[: most - 1], ids[-1]], is_cut=True)


def unit_rows(rows: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """The rows at unit length; one of zeros stays so."""
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(norms, np.float32(1e-12))
    return unit
