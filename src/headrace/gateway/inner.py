"""Requests that come from inside: rows of batches, through the same door as any other."""

from headrace.access.principal import Principal
from headrace.errors import PayloadTooLarge
from headrace.gateway.app import Gateway
from headrace.gateway.http import HeaderList, Headers
from headrace.telemetry.trace import Trace
from headrace.workflows.batch.runner import Reply

__all__ = ["InnerGateway"]


class InnerExchange:
    """An exchange without a connection: what is answered is kept."""

    turn: Trace | None = None
    outlives_client = True
    gives_way = True
    method = "POST"
    query = b""
    scheme = "http"
    peer = ("127.0.0.1", 0)
    headers = Headers([(b"content-type", b"application/json")])

    def __init__(self, principal: Principal, path: str, body: bytes) -> None:
        self.principal = principal
        self.path = path
        self._body = body
        self.status = 0
        self.answer_headers: HeaderList = ()
        self.answer = bytearray()

    @property
    def has_begun(self) -> bool:
        return self.status > 0

    async def body(self, limit: int) -> bytes:
        if len(self._body) > limit:
            raise PayloadTooLarge(f"the row's body is larger than {limit:,} bytes")
        return self._body

    async def read(self) -> bytes:
        data, self._body = self._body, b""
        return data

    async def gone(self) -> None:
        """Nobody leaves."""

    def respond(self, status: int, headers: HeaderList, body: bytes) -> None:
        self.status, self.answer_headers = status, headers
        self.answer += body

    def begin(self, status: int, headers: HeaderList, *, length: int | None = None) -> None:
        del length
        self.status, self.answer_headers = status, headers

    async def write(self, data: bytes) -> None:
        self.answer += data

    def end(self, data: bytes = b"") -> None:
        self.answer += data


class InnerGateway:
    """Answers the rows of batches, as the key that made the batch."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, principal: Principal, path: str, body: bytes) -> Reply:
        exchange = InnerExchange(principal, path, body)
        await self._gateway.answer_inner(exchange, principal)
        headers = dict(exchange.answer_headers)
        retry_after = headers.get(b"retry-after")
        return Reply(
            status=exchange.status,
            body=bytes(exchange.answer),
            request_id=headers.get(b"x-request-id", b"").decode(),
            retry_after_s=float(retry_after) if retry_after is not None else None,
        )
