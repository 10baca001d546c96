"""The server at the other end: what it is called in messages, and how long it may take."""

import ssl
from dataclasses import dataclass, field

from headrace.errors import ModelUnavailable
from headrace.models.http.address import Address
from headrace.models.http.proxy import Proxy
from headrace.models.http.settings import Timeouts
from headrace.models.http.tls import TlsSettings, explained

__all__ = ["Peer"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Everything about a server that connections to it need to know."""

    address: Address
    timeouts: Timeouts = field(default_factory=Timeouts)
    tls: TlsSettings = field(default_factory=TlsSettings)
    proxy: Proxy | None = None

    def __str__(self) -> str:
        return str(self.address)

    def tls_error(self, error: ssl.SSLError) -> ModelUnavailable:
        """What is wrong between us and this server's TLS."""
        return explained(error, str(self.address), self.tls)
