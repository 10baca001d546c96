"""AWS's binary framing of events, `application/vnd.amazon.eventstream`.

A message is a prelude (its length, its headers' length, their CRC), headers, a payload, and the CRC
of it all. Both sums are checked: a damaged stream must not become an answer.
Source: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

__all__ = ["Event", "EventStreamReader"]

MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
"""The framing's own limits."""

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_NUMBERS = {2: "!b", 3: "!h", 4: "!i", 5: "!q", 8: "!q"}
"""Formats of the headers' numeric types; 8 is a time in milliseconds."""
_BYTES, _TEXT, _UUID = 6, 7, 9


@dataclass(frozen=True, slots=True)
class Event:
    """One message: `:event-type` and its kin, and what it carries."""

    headers: Mapping[str, object]
    payload: bytes

    def text(self, header: str) -> str:
        """A header's text; empty where it is absent or no text."""
        value = self.headers.get(header)
        return value if isinstance(value, str) else ""


class EventStreamReader:
    """Gives each message once all of its bytes have come, cut anywhere."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_between(self) -> bool:
        """Whether no message has been begun and not finished."""
        return not self._buffer

    def feed(self, packet: bytes) -> Iterator[Event]:
        """The messages that this packet completes.

        Raises:
            ValueError: a checksum or a length is wrong, or a header unreadable.
        """
        buffer = self._buffer
        buffer += packet
        while len(buffer) >= _PRELUDE.size:
            total, headers_size, prelude_crc = _PRELUDE.unpack_from(buffer)
            if crc32(buffer[: _PRELUDE.size - _CRC.size]) != prelude_crc:
                raise ValueError("the prelude's checksum is wrong")
            payload_size = total - headers_size - _PRELUDE.size - _CRC.size
            if headers_size > MAX_HEADERS_BYTES or not 0 <= payload_size <= MAX_PAYLOAD_BYTES:
                raise ValueError("a message's length is wrong")
            if len(buffer) < total:
                return
            message = bytes(buffer[:total])
            del buffer[:total]
            if crc32(message[: -_CRC.size]) != _CRC.unpack_from(message, total - _CRC.size)[0]:
                raise ValueError("a message's checksum is wrong")
            ends = _PRELUDE.size + headers_size
            headers = _headers(message[_PRELUDE.size : ends])
            yield Event(headers, message[ends : -_CRC.size])


def _headers(data: bytes) -> dict[str, object]:
    headers: dict[str, object] = {}
    at = 0
    try:
        while at < len(data):
            name_ends = at + 1 + data[at]
            name = data[at + 1 : name_ends].decode()
            kind = data[name_ends]
            headers[name], at = _value(kind, data, name_ends + 1)
    except (IndexError, struct.error, UnicodeError) as error:
        raise ValueError("a message's headers are unreadable") from error
    if at != len(data):
        raise ValueError("a message's headers are unreadable")
    return headers


def _value(kind: int, data: bytes, at: int) -> tuple[object, int]:
    """A header's value, and where it ends."""
    if kind in (0, 1):
        return kind == 0, at
    if kind in _NUMBERS:
        number = struct.Struct(_NUMBERS[kind])
        return number.unpack_from(data, at)[0], at + number.size
    if kind == _UUID:
        return data[at : at + 16], at + 16
    if kind not in (_BYTES, _TEXT):
        raise ValueError(f"a header is of an unknown type: {kind}")
    (size,) = struct.unpack_from("!H", data, at)
    value = data[at + 2 : at + 2 + size]
    return (value.decode() if kind == _TEXT else value), at + 2 + size
