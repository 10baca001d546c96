"""An HTTP/1.1 client for model servers, over TCP, TLS, proxies or a Unix socket.

The general-purpose clients cost more per streamed token than the rest of the pipeline together,
so the connection to a model is our own protocol over httptools: kept alive where that pays,
strict limits, back-pressure, and leaving a stream in the middle closes the connection, which is
what tells the server to stop generating.

Read address.py, client.py (what a caller sees), reply.py (awaiting a response), exchange.py
(being called with it, the gateway's fast path), connection.py (bytes to responses), pool.py (who
gets which connection), dial.py with resolve.py, proxy.py and tls.py (opening one).

Not covered: redirects, cookies, HTTP/2, request bodies that stream.
"""

from headrace.models.http.address import Address
from headrace.models.http.client import HttpClient
from headrace.models.http.exchange import Exchange, Sink
from headrace.models.http.head import Head, RequestHead
from headrace.models.http.proxy import Proxies
from headrace.models.http.reply import Reply
from headrace.models.http.settings import PoolSettings
from headrace.models.http.tls import TlsSettings

__all__ = [
    "Address",
    "Exchange",
    "Head",
    "HttpClient",
    "PoolSettings",
    "Proxies",
    "Reply",
    "RequestHead",
    "Sink",
    "TlsSettings",
]
