"""An OTLP collector on a real port: decodes what it gets, keeps it, answers as it was told."""

import gzip
import json
import queue
import re
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

__all__ = ["Answer", "Collector", "Received"]


@dataclass
class Answer:
    """What the collector says to one request; an empty 200 when nothing else was asked for."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass
class Received:
    """One request as it came, its body decoded."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]
    at: float

    @property
    def trace_ids(self) -> list[str]:
        return list(dict.fromkeys(re.findall(r'"traceId": "(\w+)"', json.dumps(self.body))))


class Collector:
    """Decodes what it gets, keeps it, and answers as it was told."""

    def __init__(self) -> None:
        self.received: queue.Queue[Received] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.path, headers, json.loads(body), time.monotonic())
                try:
                    answer = collector.answers.get_nowait()
                except queue.Empty:
                    answer = Answer()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                collector.received.put(request)

            def log_message(self, *args: object) -> None:
                del args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def next(self) -> Received:
        return self.received.get(timeout=30)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
