"""Static files: kept in memory, compressed once, served under an address that names their content.

`/static/DIGEST/chat.css` may be cached for ever, because the digest changes with any file.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Assets"]

_FOLDER = Path(__file__).parent / "static"
_SERVED = {".css", ".js", ".svg"}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    body: bytes
    zipped: bytes


class Assets:
    """The files of `static/` that a browser may have."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._files: dict[str, _File] = {}
        digest = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            if path.suffix not in _SERVED:
                continue
            body = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            media_type = mimetypes.types_map[path.suffix]
            self._files[name] = _File(media_type, body, gzip.compress(body, mtime=0))
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
        self.digest = digest.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Where the browser finds the file.

        Raises:
            KeyError: there is no such file; a defect of the page.
        """
        self._files[name]
        return f"/static/{self.digest}/{name}"

    def respond(self, request: Request) -> Response:
        """The file that the route's `digest` and `name` ask for."""
        file = self._files.get(request.path_params["name"])
        if file is None:
            return Response("no such file", status_code=404, media_type="text/plain")
        current = request.path_params["digest"] == self.digest
        headers = {
            # A page that was opened before an upgrade still gets files, but must ask again.
            "cache-control": _FOR_EVER if current else "no-cache",
            "vary": "accept-encoding",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(file.zipped, headers=headers, media_type=file.media_type)
        return Response(file.body, headers=headers, media_type=file.media_type)
