"""The gateways that are compared, each as an operator would run it, pinned to one core.

direct          no gateway: the load goes to the upstream
headrace        key check, limits that never bind, two deployments, retries, traces, metrics
nginx           a bare reverse proxy over two upstreams with kept connections; no key, no log
sglang-router   round robin (the cheapest of its policies) over two workers; retries, metrics
litellm         the LiteLLM proxy with a master key and two deployments; no database

Each is found on PATH or in a folder given; what is missing is left out, and said.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from bench.gateway.tree import Tree

__all__ = ["HOW_TO_INSTALL", "NAMES", "Gateway", "Upstream", "find", "missing", "pinned"]

NAMES = ("direct", "headrace", "nginx", "sglang-router", "litellm")
HOW_TO_INSTALL = {
    "headrace": "pip install -e .",
    "nginx": "apt install nginx-light",
    "sglang-router": "pip install sglang-router  (in a virtual environment; --peers DIR/bin)",
    "litellm": "pip install 'litellm[proxy]'  (in a virtual environment; --peers DIR/bin)",
    "wrk": "apt install wrk",
}
START_S = 120.0
KEY = "sk-bench-0123456789abcdef"
HEADRACE = """\
models:
  m:
    deployments:
      - {{backend: openai_compatible, model: m, base_url: "http://127.0.0.1:{a}/v1"}}
      - {{backend: openai_compatible, model: m, base_url: "http://127.0.0.1:{b}/v1"}}
limits:
  - {{requests_per_minute: 100M, tokens_per_minute: 100G}}
pipeline: [generate]
traces: {{content: false}}
"""
NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000;
  upstream models {{
    server 127.0.0.1:{a}; server 127.0.0.1:{b};
    keepalive 1024; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""
LITELLM = """\
model_list:
  - {{model_name: m, litellm_params: {{model: openai/m, api_base: "http://127.0.0.1:{a}/v1", api_key: none}}}}
  - {{model_name: m, litellm_params: {{model: openai/m, api_base: "http://127.0.0.1:{b}/v1", api_key: none}}}}
general_settings: {{master_key: {key}}}
router_settings: {{num_retries: 2}}
litellm_settings: {{telemetry: false}}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def find(name: str, folders: Sequence[str]) -> str | None:
    """Where a program is: beside this Python, in the folders given, on PATH."""
    places = [str(Path(sys.executable).parent), *folders, os.environ.get("PATH", ""), "/usr/sbin"]
    return shutil.which(name, path=os.pathsep.join(places))


def missing(names: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Which of the gateways are not on this machine; `wrk` among them, which loads them all."""
    return [name for name in (*names, "wrk") if name != "direct" and find(name, folders) is None]


def pinned(command: Sequence[str], cores: set[int]) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]


def launch(
    command: Sequence[str],
    cores: set[int],
    log: Path,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            pinned(command, cores),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
        )


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Upstream:
    """The model server, on two ports."""

    def __init__(self, cores: set[int], folder: Path) -> None:
        self.ports = (free_port(), free_port())
        program = str(Path(__file__).with_name("upstream.py"))
        command = [sys.executable, program, *map(str, self.ports)]
        self._process = launch(command, cores, folder / "upstream.log")
        for port in self.ports:
            wait_ready(port, "", self._process, folder / "upstream.log")

    def close(self) -> None:
        end(self._process)


class Gateway:
    """One gateway that runs: where it listens, the key it wants, and what it uses."""

    def __init__(
        self, name: str, port: int, key: str, process: subprocess.Popen[bytes] | None
    ) -> None:
        self.name = name
        self.port = port
        self.key = key
        self._process = process
        self.tree = None if process is None else Tree(process.pid)

    @classmethod
    def start(cls, name: str, upstream: Upstream, cores: set[int], folders: Sequence[str]) -> Self:
        a, b = upstream.ports
        if name == "direct":
            return cls(name, a, KEY, None)
        program = find(name, folders)
        assert program is not None
        port, key = free_port(), KEY
        folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        log = folder / "log"
        environ: dict[str, str] = {}
        if name == "headrace":
            (folder / "headrace.yaml").write_text(HEADRACE.format(a=a, b=b))
            command = [program, "up", "--port", str(port)]
            environ = {"HEADRACE_HOME": str(folder / "home")}
        elif name == "nginx":
            config = folder / "nginx.conf"
            config.write_text(NGINX.format(a=a, b=b, port=port, folder=folder))
            command = [program, "-c", str(config), "-p", str(folder), "-e", "stderr"]
        elif name == "sglang-router":
            urls = [f"http://127.0.0.1:{each}" for each in (a, b)]
            options = "--policy round_robin --log-level warn --prometheus-host 127.0.0.1"
            command = [program, "launch", "--host", "127.0.0.1", "--port", str(port)]
            command += ["--worker-urls", *urls, *options.split()]
            command += ["--prometheus-port", str(free_port())]
        else:
            config = folder / "litellm.yaml"
            config.write_text(LITELLM.format(a=a, b=b, key=KEY))
            command = [program, "--config", str(config), "--host", "127.0.0.1"]
            command += ["--port", str(port), "--num_workers", "1"]
            environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        process = launch(command, cores, log, cwd=folder, environ=environ)
        try:
            if name == "headrace":
                key = read_key(folder / "home" / "admin.key", process, log)
            wait_ready(port, key, process, log)
        except BaseException:
            end(process)
            raise
        return cls(name, port, key, process)

    def close(self) -> None:
        if self._process is not None:
            end(self._process)


def read_key(path: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + START_S
    while not path.exists() or not path.read_text().strip():
        given_up(process, log, until)
    return path.read_text().strip()


def wait_ready(port: int, key: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers a chat."""
    until = time.monotonic() + START_S
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        given_up(process, log, until)


def given_up(process: subprocess.Popen[bytes], log: Path, until: float) -> None:
    if process.poll() is not None or time.monotonic() > until:
        raise SystemExit(f"it did not start:\n{log.read_text(errors='replace')[-2000:]}")
    time.sleep(0.1)
