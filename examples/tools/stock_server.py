"""A stand-in for the API of a stock: `python3 stock_server.py 8099`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SACKS = {"oats": 12, "rye": 40, "wheat": 0}


class Stock(BaseHTTPRequestHandler):
    """`GET /grain/NAME`, with a key."""

    def do_GET(self) -> None:
        grain = self.path.rsplit("/", 1)[-1]
        allowed = self.headers.get("authorization") == "Bearer mill-key"
        status = 200 if allowed and grain in SACKS else 404 if allowed else 401
        body = {"grain": grain, "sacks": SACKS[grain]} if status == 200 else {"error": status}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stock)
    print(server.server_port, flush=True)
    server.serve_forever()
