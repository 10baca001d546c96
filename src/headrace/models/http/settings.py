"""How long a client waits and how many connections it keeps."""

from typing import Annotated, Self

import msgspec
from msgspec import Meta

from headrace.models.http.address import Address

__all__ = ["PoolSettings", "Timeouts"]


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; None waits for ever."""

    connect_s: float = 5.0
    """Until the connection stands: name, socket, proxy and TLS together."""
    response_s: float | None = None
    """From the request to the response's headers."""
    idle_s: float | None = None
    """Between two pieces of a body."""


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connections to one server that are kept between requests."""

    max_idle: Annotated[int, Meta(ge=0)] = 256
    """Connections kept while nothing is asked."""
    idle_s: Annotated[float, Meta(gt=0)] = 4.0
    """Seconds one is kept. Less than the server keeps it: uvicorn (vLLM, SGLang) and llama.cpp 5 s."""
    max_age_s: Annotated[float, Meta(gt=0)] = 600.0
    """Seconds after which a connection is not used again, so that a server that moved is found."""
    max_connections: Annotated[int, Meta(ge=1)] | None = None
    """Connections at the same time; further requests wait. Absent: no bound."""

    @classmethod
    def fitting(cls, address: Address) -> Self:
        """What suits the servers that one meets at such an address."""
        if address.socket is not None:
            # llama.cpp's server: each connection occupies one of its threads, idle or not.
            return cls(max_idle=4, idle_s=4.0)
        # Behind TLS stand load balancers that keep connections for a minute or longer (AWS 60 s,
        # nginx 75 s, Cloudflare 400 s), and a new one costs two or three round trips.
        return cls(idle_s=50.0) if address.tls else cls()
