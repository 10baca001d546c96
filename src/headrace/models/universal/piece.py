"""A SentencePiece vocabulary read from its file: as much of it as a unigram tokenizer needs.

The file is a protocol buffer (`sentencepiece_model.proto`): field 1 holds the pieces, each with
its text (1), score (2) and type (3); field 3 the normalizer, whose field 2 is a compiled table of
character replacements. Not covered: BPE models, denormalizers, user's own rules.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

__all__ = ["Piece", "Vocabulary", "read_vocabulary"]

_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


class Piece(msgspec.Struct, frozen=True):
    """One entry of the vocabulary."""

    text: str
    score: float
    is_text: bool
    """False for those that mark something (unknown, beginning, end) and never match a text."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Pieces by their number, and how texts are normalized before they are cut into them."""

    pieces: list[Piece]
    unknown: int
    charsmap: bytes

    def number_of(self, marker: str) -> int:
        """The number of a piece that marks something.

        Raises:
            ValueError: there is none.
        """
        for number, piece in enumerate(self.pieces):
            if piece.text == marker and not piece.is_text:
                return number
        raise ValueError(f"the vocabulary has no {marker}")


def read_vocabulary(data: bytes) -> Vocabulary:
    """
    Raises:
        ValueError: the bytes are no SentencePiece model.
    """
    pieces: list[Piece] = []
    unknown: int | None = None
    charsmap = b""
    for field, value in _fields(data):
        if field == 1 and isinstance(value, bytes):
            piece, kind = _piece(value)
            if kind == _UNKNOWN:
                unknown = len(pieces)
            pieces.append(piece)
        elif field == 3 and isinstance(value, bytes):
            found = dict(_fields(value)).get(2, b"")
            charsmap = found if isinstance(found, bytes) else b""
    if unknown is None:
        raise ValueError("no SentencePiece model: it has no piece for what is unknown")
    return Vocabulary(pieces, unknown, charsmap)


def _piece(data: bytes) -> tuple[Piece, int]:
    text, score, kind = b"", 0.0, _NORMAL
    for field, value in _fields(data):
        if field == 1 and isinstance(value, bytes):
            text = value
        elif field == 2 and isinstance(value, bytes) and len(value) == 4:
            (score,) = struct.unpack("<f", value)
        elif field == 3 and isinstance(value, int):
            kind = value
    return Piece(text.decode(), score, kind not in (_UNKNOWN, _CONTROL)), kind


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field's number and value, as the wire has them."""
    at = 0
    end = len(data)
    # Hundreds of thousands of numbers, nearly all of one byte: those are read here and now.
    while at < end:
        if (key := data[at]) < 0x80:
            at += 1
        else:
            key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            if at < end and (size := data[at]) < 0x80:
                at += 1
            else:
                size, at = _varint(data, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"no SentencePiece model: wire type {wire} at byte {at}")
        if at + size > end:
            raise ValueError(f"no SentencePiece model: it breaks off at byte {end}")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, at + position + 1
    raise ValueError(f"no SentencePiece model: a number at byte {at} does not end")
