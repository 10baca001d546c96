"""Vocabularies: what is read is what was written, and no bytes break the reader."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.universal.piece import Piece, read_vocabulary


def number(value: int) -> bytes:
    """As protocol buffers write one."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def field(at: int, data: bytes) -> bytes:
    return number(at << 3 | 2) + number(len(data)) + data


def piece(text: str, score: float, kind: int) -> bytes:
    scored = number(2 << 3 | 5) + struct.pack("<f", score)
    return field(1, text.encode()) + scored + number(3 << 3) + number(kind)


MARKERS = field(1, piece("<unk>", 0, 2)) + field(1, piece("<s>", 0, 3))


@given(texts=st.lists(st.text(max_size=200)), charsmap=st.binary(max_size=300))
def test_what_is_read_is_what_was_written(texts: list[str], charsmap: bytes) -> None:
    trainer = field(2, number(4 << 3) + number(128_000))
    pieces = b"".join(field(1, piece(text, -2.5, 1)) for text in texts)
    normalizer = field(3, field(1, b"nmt_nfkc") + field(2, charsmap))
    found = read_vocabulary(MARKERS + trainer + pieces + normalizer)
    assert found.unknown == 0
    assert found.number_of("<s>") == 1
    assert found.pieces[2:] == [Piece(text, -2.5, is_text=True) for text in texts]
    assert found.charsmap == charsmap


@given(st.binary(max_size=200))
def test_other_bytes_are_refused_or_read_and_never_worse(data: bytes) -> None:
    try:
        read_vocabulary(MARKERS + data)
        read_vocabulary(data)
    except ValueError:
        pass


def test_a_marker_that_is_not_there_is_said() -> None:
    found = read_vocabulary(MARKERS + field(1, piece("</s>", 0, 1)))
    with pytest.raises(ValueError, match="no </s>"):
        found.number_of("</s>")
