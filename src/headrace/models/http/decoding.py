"""Decoding compressed bodies.

We ask for none (`accept-encoding: identity`), since streams of small events gain little and pay
with delay; some servers and the proxies before them compress all the same.

Covered: gzip, deflate (with and without zlib's wrapper), and several of them on top of each other.
Not covered: br, zstd.
"""

import zlib

__all__ = ["Decoder", "decoder_of"]

MAX_PIECE_BYTES = 16 * 1024 * 1024
"""What one packet may unpack to. Answers shrink to a tenth; bombs to a thousandth."""
_GZIP = zlib.MAX_WBITS | 16


class Decoder:
    """Decodes one content coding, piece by piece."""

    def __init__(self, coding: str, below: "Decoder | None" = None) -> None:
        self._is_gzip = coding == "gzip"
        self._below = below
        """Undoes the coding that was applied after this one."""
        self._held = b""
        """First byte of a deflate body: two tell whether it is wrapped."""
        self._zlib = zlib.decompressobj(_GZIP) if self._is_gzip else None
        self._has_begun = False

    def decode(self, data: bytes) -> bytes:
        """What these bytes unpack to; may be nothing yet.

        Raises:
            ValueError: they are not what the header says, or unpack to too much.
        """
        if self._below is not None:
            data = self._below.decode(data)
        self._has_begun = self._has_begun or bool(data)
        if self._zlib is None:
            self._held += data
            if len(self._held) < 2:
                return b""
            data, self._held = self._held, b""
            wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._zlib = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        try:
            return self._unpack(self._zlib, data)
        except zlib.error as error:
            raise ValueError(f"the compressed body is damaged ({error})") from error

    def _unpack(self, unpacker: "zlib._Decompress", data: bytes) -> bytes:
        unpacked = unpacker.decompress(data, MAX_PIECE_BYTES)
        while unpacker.eof and unpacker.unused_data and self._is_gzip:
            # Members of a gzip file may follow one another (RFC 1952, 2.2).
            data = unpacker.unused_data
            unpacker = self._zlib = zlib.decompressobj(_GZIP)
            unpacked += unpacker.decompress(data, MAX_PIECE_BYTES)
        if unpacker.unconsumed_tail or len(unpacked) > MAX_PIECE_BYTES:
            raise ValueError("a packet of the compressed body unpacks to more than 16 MiB")
        return unpacked

    @property
    def is_complete(self) -> bool:
        """Whether the body may end here; an empty one need not be coded."""
        if self._below is not None and not self._below.is_complete:
            return False
        return self._zlib.eof if self._zlib is not None and self._has_begun else not self._held


def decoder_of(codings: str) -> Decoder | None:
    """The decoder for a Content-Encoding header; None where there is nothing to decode.

    Raises:
        ValueError: a coding that we do not know.
    """
    decoder: Decoder | None = None
    for coding in reversed([each.strip().lower() for each in codings.split(",")]):
        if coding in ("", "identity"):
            continue
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(f"its body is compressed by {coding!r}, which was not asked for")
        decoder = Decoder(coding.removeprefix("x-"), decoder)
    return decoder
