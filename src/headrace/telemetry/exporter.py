"""Sends traces to an OpenTelemetry collector (OTLP over HTTP, JSON), from a thread of its own.

Fed with what the writer has committed, so it never touches the request path, and at most once
per trace: what is waiting when the process ends is not sent again. The database keeps it.

Source: OpenTelemetry Protocol specification, OTLP/HTTP: which answers may be retried, and that
a partial success may not.
"""

import gzip
import logging
import random
import re
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from headrace.errors import ConfigError
from headrace.telemetry.otlp import Resource, export_request
from headrace.telemetry.record import TraceEnd
from headrace.telemetry.seal import Sealer
from headrace.telemetry.trace import Trace

__all__ = ["TraceExporter"]

BUFFERED_TRACES = 4096
"""Traces that wait while the collector is away; the oldest are dropped beyond."""
BATCH_TRACES = 64
INTERVAL_S = 1.0
TIMEOUT_S = 10.0
RETRY_FIRST_S, RETRY_MOST_S = 1.0, 30.0
RETRY_AFTER_MOST_S = 300.0
CLOSE_S = 5.0
"""How long `close` lets the thread send what is waiting."""
_GZIP_FROM_BYTES = 1024
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_RETRYABLE = frozenset({429, 502, 503, 504})

_log = logging.getLogger(__name__)
_decode_end = msgspec.msgpack.Decoder(TraceEnd).decode


class _PartialSuccess(msgspec.Struct, rename="camel"):
    rejected_spans: int = 0
    error_message: str = ""


class _Answer(msgspec.Struct, rename="camel"):
    partial_success: _PartialSuccess | None = None


# Not strict, because the JSON form of a 64-bit integer is a string.
_decode_answer = msgspec.json.Decoder(_Answer, strict=False).decode


class TraceExporter:
    """`committed` takes records over; a thread sends them in batches and retries with back-off."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        resource: Resource,
        vault: Sealer | None = None,
    ) -> None:
        """
        Args:
            endpoint: the collector, such as `http://localhost:4318`; `/v1/traces` is added.
            vault: given, the traces' texts go along (`traces.otlp_content`); None, they do not.

        Raises:
            ConfigError: the endpoint is not an HTTP address, or a header cannot be sent.
        """
        self._url = _traces_url(endpoint)
        _check_headers(headers)
        self._headers = {**headers, "content-type": "application/json"}
        self._resource = resource
        self._vault = vault
        self._waiting: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headrace-otlp", daemon=True)
        self._failing = False
        self.exported = 0
        """Traces that the collector took."""
        self.dropped = 0
        """Traces that it refused, or that did not fit into the buffer."""

    def start(self) -> None:
        self._thread.start()

    def committed(self, payloads: Sequence[bytes]) -> None:
        """Take over finished traces, as the writer committed them. Never waits."""
        with self._lock:
            self._waiting.extend(payloads)
            over = len(self._waiting) - BUFFERED_TRACES
            for _ in range(over):
                self._waiting.popleft()
        if over > 0:
            self.dropped += over
            self._fail(f"{over} traces dropped: the buffer is full")
        if len(self._waiting) >= BATCH_TRACES:
            self._wake.set()

    def close(self) -> None:
        """Send what is waiting, for at most 5 s, then stop."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        left = len(self._waiting)
        if left:
            self.dropped += left
            _log.warning("%d traces were not sent to %s", left, self._url)

    def _run(self) -> None:
        retry_s = RETRY_FIRST_S
        with httpx.Client(timeout=TIMEOUT_S, headers=self._headers) as client:
            while True:
                self._wake.wait(INTERVAL_S)
                self._wake.clear()
                while batch := self._peek():
                    wait_s = self._send(client, batch)
                    if wait_s is None:
                        self._take(batch)
                        retry_s = RETRY_FIRST_S
                        continue
                    if self._stop.wait(max(wait_s, retry_s * random.uniform(0.5, 1.0))):  # noqa: S311 - jitter
                        return
                    retry_s = min(retry_s * 2, RETRY_MOST_S)
                if self._stop.is_set():
                    return

    def _peek(self) -> list[bytes]:
        with self._lock:
            return [self._waiting[i] for i in range(min(BATCH_TRACES, len(self._waiting)))]

    def _take(self, batch: list[bytes]) -> None:
        """Remove what was sent; `committed` may have dropped some of it meanwhile."""
        with self._lock:
            for payload in batch:
                if self._waiting and self._waiting[0] is payload:
                    self._waiting.popleft()

    def _send(self, client: httpx.Client, batch: list[bytes]) -> float | None:
        """None: done with this batch. A number: the least seconds to wait before trying again."""
        body = self._body(batch)
        if body is None:
            return None
        headers = {}
        if len(body) >= _GZIP_FROM_BYTES:
            body, headers = gzip.compress(body, 1), {"content-encoding": "gzip"}
        try:
            response = client.post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, OSError, ValueError) as error:
            # ValueError: a host name that the resolver cannot even spell (`a..b`).
            self._fail(f"{type(error).__name__}: {error}")
            return 0.0
        if response.status_code in _RETRYABLE:
            self._fail(f"HTTP {response.status_code}")
            return _retry_after_s(response)
        if not response.is_success:
            self.dropped += len(batch)
            self._fail(f"HTTP {response.status_code}; {len(batch)} traces dropped")
            return None
        self._read_answer(response, len(batch))
        return None

    def _read_answer(self, response: httpx.Response, sent: int) -> None:
        try:
            partial = _decode_answer(response.content or b"{}").partial_success
        except msgspec.DecodeError:
            # Some collectors answer 200 with a body that is not JSON; they took the traces.
            partial = None
        self.exported += sent
        if partial is not None and partial.rejected_spans:
            self._fail(f"{partial.rejected_spans} spans refused: {partial.error_message}")
        elif self._failing:
            _log.info("%s takes traces again", self._url)
            self._failing = False

    def _body(self, batch: list[bytes]) -> bytes | None:
        """The request's body; None when the batch cannot be put into words at all."""
        try:
            traces = [self._trace(payload) for payload in batch]
            return export_request(self._resource, traces, content=self._vault is not None)
        except Exception:  # noqa: BLE001 - one bad record must not end the export of all others
            self.dropped += len(batch)
            _log.exception("%d traces cannot be exported; they are in the database", len(batch))
            return None

    def _trace(self, payload: bytes) -> Trace:
        end = _decode_end(payload)
        trace = end.trace
        if self._vault is not None:
            if end.input_sealed is not None:
                trace.input = self._vault.unseal_if_kept(trace.subject, end.input_sealed) or ""
            if end.output_sealed is not None:
                trace.output = self._vault.unseal_if_kept(trace.subject, end.output_sealed) or ""
        return trace

    def _fail(self, reason: str) -> None:
        """Say it once; `_read_answer` says when it is over."""
        if not self._failing:
            self._failing = True
            _log.warning("traces to %s: %s", self._url, reason)


def _traces_url(endpoint: str) -> str:
    try:
        url = httpx.URL(endpoint)
    except httpx.InvalidURL as error:
        raise _no_address(endpoint) from error
    if url.scheme not in ("http", "https") or not url.host or not 0 < (url.port or 80) < 65536:
        raise _no_address(endpoint)
    return f"{endpoint.rstrip('/').removesuffix('/v1/traces')}/v1/traces"


def _no_address(endpoint: str) -> ConfigError:
    return ConfigError(
        f"traces.otlp_endpoint: {endpoint!r} is not an HTTP address",
        hint="such as http://localhost:4318",
    )


def _check_headers(headers: Mapping[str, str]) -> None:
    """Values stay out of the message: they are keys more often than not."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigError(
                f"traces.otlp_headers: {name!r} cannot be sent as an HTTP header",
                hint="names are letters, digits and dashes; values are printable ASCII",
            )


def _retry_after_s(response: httpx.Response) -> float:
    """What `Retry-After` asks for (seconds, or a date), within five minutes; 0 for nothing."""
    said = response.headers.get("retry-after", "0")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except ValueError:
            return 0.0
    return max(0.0, min(seconds, RETRY_AFTER_MOST_S))
