"""`/v1/files`: upload, list, look at, read and delete, in OpenAI's shapes."""

import asyncio

import msgspec

from headrace.datasets.upload import StoredFile
from headrace.gateway.call import Call
from headrace.gateway.errors import MethodNotAllowed
from headrace.gateway.query import Query
from headrace.gateway.upload import take_upload

__all__ = ["answer_file", "answer_files", "file_body"]

_PATH = "/v1/files/"
_MOST_LISTED = 10_000


async def answer_files(call: Call) -> None:
    """Take an upload, or list what there is."""
    files = call.platform.files
    if call.method == "POST":
        kept = await take_upload(call, files)
        await call.respond(msgspec.json.encode(file_body(kept)))
        return
    query = Query(call.query)
    found, has_more = await asyncio.to_thread(
        files.page,
        _owner(call),
        purpose=query.text("purpose"),
        after=query.text("after"),
        limit=query.limit(_MOST_LISTED, _MOST_LISTED),
        newest_first=query.newest_first(),
    )
    await call.respond(
        msgspec.json.encode(
            {
                "object": "list",
                "data": [file_body(each) for each in found],
                "first_id": found[0].id if found else None,
                "last_id": found[-1].id if found else None,
                "has_more": has_more,
            }
        )
    )


async def answer_file(call: Call) -> None:
    """One file: what is known of it, its content, or its end.

    Raises:
        NotFound: there is no such file, or it is another key's.
    """
    file_id, _, rest = call.path.removeprefix(_PATH).partition("/")
    files = call.platform.files
    file = await asyncio.to_thread(files.get, file_id, _owner(call))
    if rest == "content":
        if call.method == "DELETE":
            raise MethodNotAllowed.at(call.path, call.method, "GET")
        await _content(call, file)
    elif call.method == "DELETE":
        await asyncio.to_thread(files.delete, file)
        body = {"id": file.id, "object": "file", "deleted": True}
        await call.respond(msgspec.json.encode(body))
    else:
        await call.respond(msgspec.json.encode(file_body(file)))


async def _content(call: Call, file: StoredFile) -> None:
    blocks = call.platform.files.read(file)
    # The first before the status: a file that cannot be read is an error, not half an answer.
    block = await asyncio.to_thread(next, blocks, b"")
    call.begin([(b"content-type", b"application/octet-stream")], length=file.bytes)
    while block:
        await call.write(block)
        block = await asyncio.to_thread(next, blocks, b"")
    await call.end()


def file_body(file: StoredFile) -> dict[str, object]:
    """A file in OpenAI's shape."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": None if file.expires_at is None else int(file.expires_at),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _owner(call: Call) -> str | None:
    return None if call.principal.is_admin else call.principal.key_id
