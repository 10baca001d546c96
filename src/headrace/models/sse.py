"""Reading server-sent events from bytes that arrive in any pieces.

Source: WHATWG HTML, "Server-sent events", section 9.2.6. Only `data` matters on these wires.
"""

from collections.abc import Iterator

__all__ = ["EventReader"]

MAX_EVENT_BYTES = 8 * 1024 * 1024


class EventReader:
    """Gives the data of each event, as bytes, once its blank line has arrived.

    Works on bytes, so a packet may end inside a UTF-8 letter. Lines may end in LF, CRLF or CR.
    """

    __slots__ = ("_buffer", "_data", "_skip_lf", "_taken")

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[bytes] = []
        self._taken = 0
        """Bytes in `_data`."""
        self._skip_lf = False

    def feed(self, packet: bytes) -> Iterator[bytes]:
        """The events that this packet completes.

        Raises:
            ValueError: an event larger than 8 MiB.
        """
        if self._skip_lf and packet:
            self._skip_lf = False
            packet = packet.removeprefix(b"\n")
        buffer = self._buffer + packet if self._buffer else packet
        if b"\r" in buffer:
            # A CR at the very end may be half of a CRLF: it ends the line now, the LF is skipped.
            self._skip_lf = buffer.endswith(b"\r")
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = buffer.split(b"\n")
        self._buffer = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._taken += len(line)
            elif line == b"data":
                self._data.append(b"")
                self._taken += len(line)
            elif not line and self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data = []
                self._taken = 0
                yield data
        if self._taken + len(self._buffer) > MAX_EVENT_BYTES:
            raise ValueError("a server-sent event is larger than 8 MiB")
