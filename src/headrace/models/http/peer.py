"""The server at the other end: what it is called in messages, and how long it may take."""

import ssl
from dataclasses import dataclass, field

from headrace.errors import ModelUnavailable
from headrace.models.http.address import Address
from headrace.models.http.known_head import KnownHeads
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
    heads: KnownHeads = field(default_factory=KnownHeads, compare=False, repr=False)
    """How its responses begin."""

    def __str__(self) -> str:
        return str(self.address)

    @property
    def hint(self) -> str:
        """What may be wrong with a server that hangs up on a new connection."""
        if self.address.tls and self.tls.certificate_file is None:
            # TLS 1.3 servers say so only now, and a reset may swallow their words.
            return "it may want a client certificate (`tls.certificate_file`)"
        return ""

    def tls_error(self, error: ssl.SSLError) -> ModelUnavailable:
        """What is wrong between us and this server's TLS."""
        return explained(error, str(self.address), self.tls)
