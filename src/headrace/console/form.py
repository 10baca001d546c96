"""Reading what a page posts."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from headrace.errors import InvalidRequest, PayloadTooLarge

__all__ = ["read_form"]

_FIELDS = 20


async def read_form(request: Request, *, limit: int) -> dict[str, str]:
    """The fields of a posted form (`application/x-www-form-urlencoded`).

    Args:
        limit: bytes that the body may have.

    Raises:
        PayloadTooLarge: the body is larger.
        InvalidRequest: it is not such a form, or not UTF-8.
    """
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise PayloadTooLarge(f"the text is larger than {limit:,} bytes", hint="send less")
        pieces.append(piece)
    try:
        pairs = parse_qsl(
            b"".join(pieces).decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_FIELDS,
        )
    except ValueError as error:
        raise InvalidRequest("the form cannot be read", hint="reload the page") from error
    return dict(pairs)
