"""A real server of OpenAI's protocol on this machine: llama.cpp's, with real weights, over TCP."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["CONTEXT_TOKENS", "serving_llama"]

CONTEXT_TOKENS = 512


@contextmanager
def serving_llama(weights: Path) -> Iterator[str]:
    """The address of a server with these weights, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, __file__, weights, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Threads that spin on a busy machine take the core that the other one needs
        # (docs/decisions/0033-runtime-threads.md).
        env={**os.environ, "GOMP_SPINCOUNT": "300"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while (line := process.stdout.readline()) != b"ready\n":
            assert line, f"llama.cpp's server ended with status {process.wait()}"
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _serve(weights: str, port: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.n_ctx = 2 * CONTEXT_TOKENS
    params.n_parallel = 2
    params.cpuparams.n_threads = 2
    params.cpuparams_batch.n_threads = 2
    params.fit_params = False
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.ui = False
    params.verbosity = 1
    server = xllamacpp.Server(params)
    os.write(1, b"ready\n")
    sys.stdin.buffer.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
