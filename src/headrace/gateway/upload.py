"""Reading an upload (`multipart/form-data`, RFC 7578) straight into a sealed file.

The parts may come in any order, so a file that comes before its purpose is written under a
provisional one. Nothing of it is ever on the disk in clear.
"""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.datasets.upload import PURPOSES, FileStore, FileWriter, StoredFile
from headrace.errors import InvalidRequest, PayloadTooLarge
from headrace.gateway.call import Call

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["MOST_BYTES", "take_upload"]

MOST_BYTES = 512 * 1024 * 1024
"""As OpenAI has it."""
_LONGEST_FIELD = 4096
_MOST_PARTS = 32
_NO_NAME = "upload"


async def take_upload(call: Call, files: FileStore) -> StoredFile:
    """The file that a request brings.

    Raises:
        InvalidRequest: it is no form, a part is missing, or a value is not allowed.
        PayloadTooLarge: the file is larger than may be.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    kind, options = parse_options_header(call.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidRequest(
            "an upload is a form", hint="send multipart/form-data with 'file' and 'purpose'"
        )
    form = _Form(files, call.principal.key_id)
    parser = MultipartParser(boundary, form.callbacks())
    try:
        while data := await call.read():
            try:
                # Sealing a megabyte takes a millisecond; writing it may wait for the disk.
                await asyncio.to_thread(parser.write, data)
            except FormParserError as error:
                raise InvalidRequest(f"the form is malformed: {error}") from error
        return await asyncio.to_thread(form.close)
    except BaseException:
        form.abandon()
        raise


@dataclass(slots=True)
class _Form:
    """The parts of one form."""

    files: FileStore
    key_id: str
    writer: FileWriter | None = None
    name: str = ""
    values: dict[str, bytes] = field(default_factory=dict)
    _header: bytes = b""
    _value: bytes = b""
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _field: str = ""
    _parts: int = 0
    _is_whole: bool = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def close(self) -> StoredFile:
        if self.writer is None or not self._is_whole:
            raise InvalidRequest("the form has no whole 'file'", param="file")
        purpose = self.values.get("purpose", b"").decode("utf-8", "replace")
        if not purpose:
            raise InvalidRequest(
                "'purpose' is missing", hint=f"one of {', '.join(PURPOSES)}", param="purpose"
            )
        writer = self.writer
        writer.describe(self.name or _NO_NAME, purpose, self._expires_at())
        self.writer = None
        try:
            return writer.close()
        except BaseException:
            writer.abandon()
            raise

    def abandon(self) -> None:
        if self.writer is not None:
            self.writer.abandon()
            self.writer = None

    def _expires_at(self) -> float | None:
        """`expires_after[seconds]`, from when the file was made."""
        given = self.values.get("expires_after[seconds]")
        if given is None:
            return None
        if not given.isdigit() or not 3600 <= int(given) <= 2_592_000:
            raise InvalidRequest(
                "'expires_after[seconds]' must be 3600 to 2592000", param="expires_after"
            )
        return self.files.clock() + int(given)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidRequest(f"the form has more than {_MOST_PARTS} parts")
        self._headers = {}
        self._header = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        if self._field == "file":
            if self.writer is not None:
                raise InvalidRequest("the form has two files", param="file")
            self.name = options.get(b"filename", b"").decode("utf-8", "replace")
            self.writer = self.files.new(_NO_NAME, "user_data", self.key_id)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field == "file":
            assert self.writer is not None
            self.writer.write(data[start:end])
            if self.writer.bytes > MOST_BYTES:
                raise PayloadTooLarge(
                    f"the file is larger than {MOST_BYTES:,} bytes", hint="split it", param="file"
                )
            return
        value = self.values.get(self._field, b"") + data[start:end]
        if len(value) > _LONGEST_FIELD:
            raise InvalidRequest(f"'{self._field}' is too long", param=self._field)
        self.values[self._field] = value

    def _end(self) -> None:
        self._is_whole = True
