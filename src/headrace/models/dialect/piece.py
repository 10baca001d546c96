"""What a message holds, piece by piece: text, media, or a part in the provider's own words."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from headrace.errors import InvalidRequest
from headrace.models.errors import NotOffered
from headrace.types import Message, Part

__all__ = ["Media", "Native", "Piece", "Text", "pieces_of", "refuse_piece"]


class Text(msgspec.Struct, frozen=True):
    """Some text."""

    text: str
    cache_control: dict[str, object] | None = None


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, sound or document: its bytes in base64, or where it lies."""

    kind: Literal["image", "audio", "file"]
    mime: str = ""
    """Empty where nobody said."""
    data: str | None = None
    """Base64."""
    url: str | None = None
    file_id: str | None = None
    """The provider's own name for a file that it keeps."""
    filename: str | None = None
    cache_control: dict[str, object] | None = None


class Native(msgspec.Struct, frozen=True):
    """A part that OpenAI does not have; it goes to the provider as it is."""

    part: Part


Piece: TypeAlias = Text | Media | Native


class _Image(msgspec.Struct):
    url: str


class _Audio(msgspec.Struct):
    data: str
    format: str


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    image_url: _Image | None = None
    input_audio: _Audio | None = None
    file: _File | None = None
    cache_control: dict[str, object] | None = None


_OPENAI = frozenset({"text", "refusal", "image_url", "input_audio", "file"})


def pieces_of(message: Message, where: str) -> Iterator[Piece]:
    """The pieces of a message, empty texts left out: providers refuse them.

    Args:
        where: the message's place in the request, for errors.

    Raises:
        InvalidRequest: a part is malformed; names it.
    """
    if isinstance(message.content, str):
        if message.content:
            yield Text(message.content)
    else:
        for i, part in enumerate(message.content or ()):
            piece = _piece(part, f"{where}.content[{i}]")
            if not isinstance(piece, Text) or piece.text:
                yield piece
    if message.refusal:
        yield Text(message.refusal)


def _piece(part: Part, where: str) -> Piece:
    if part.get("type") not in _OPENAI:
        return Native(part)
    try:
        read = msgspec.convert(part, _Part)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"'{where}': {error}", param=where) from error
    if read.text is not None or read.refusal is not None:
        return Text(read.text or read.refusal or "", read.cache_control)
    if read.image_url is not None:
        return _located("image", read.image_url.url, where, cache_control=read.cache_control)
    if read.input_audio is not None:
        mime = f"audio/{read.input_audio.format}"
        return Media(kind="audio", mime=mime, data=read.input_audio.data)
    if read.file is not None and read.file.file_id is not None:
        return Media(
            kind="file",
            file_id=read.file.file_id,
            filename=read.file.filename,
            cache_control=read.cache_control,
        )
    if read.file is not None and read.file.file_data is not None:
        return _located(
            "file",
            read.file.file_data,
            where,
            filename=read.file.filename,
            cache_control=read.cache_control,
        )
    raise InvalidRequest(f"'{where}' is of type {read.type!r} but holds none", param=where)


def _located(
    kind: Literal["image", "file"],
    url: str,
    where: str,
    *,
    filename: str | None = None,
    cache_control: dict[str, object] | None = None,
) -> Media:
    """Media from a `data:` URL (RFC 2397, base64 alone) or an address."""
    if not url.startswith("data:"):
        return Media(kind=kind, url=url, filename=filename, cache_control=cache_control)
    head, comma, data = url.removeprefix("data:").partition(",")
    mime, *attributes = head.split(";")
    if not comma or "base64" not in attributes:
        raise InvalidRequest(f"'{where}' holds a data: URL that is not base64", param=where)
    return Media(
        kind=kind,
        mime=mime.lower(),
        data=data,
        filename=filename,
        cache_control=cache_control,
    )


def refuse_piece(what: str, provider: str, where: str, *, hint: str = "") -> InvalidRequest:
    """The error for a part that a provider does not take."""
    return NotOffered(f"{provider} does not take {what}", hint=hint, param=where)
