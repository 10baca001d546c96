"""The process that holds the weights: llama.cpp's server on a Unix socket, and nothing else.

Started by the supervisor as `python -m headrace.models.embedded.worker`; its settings come as one
line of JSON on standard input, which then stays open: when it closes, the parent is gone (even by
`kill -9`) and so is this process. It prints `ready` once it answers.
"""

import ctypes
import os
import signal
import sys

import msgspec

__all__ = ["WorkerSettings", "main"]

_PR_SET_PDEATHSIG = 1
SHORT_CALLS = 16
"""Threads of the server beyond those that generations hold: counting tokens, embedding."""


class WorkerSettings(msgspec.Struct):
    """What the worker is told."""

    weights: str
    socket: str
    context_tokens: int
    """Per sequence."""
    parallel: int
    threads: int
    gpu_layers: int
    requests: int
    """Generations that may be asked for at the same time, waiting ones included."""
    prompt_cache_mb: int
    adapters: list[str] = []
    """GGUF files of LoRA adapters; a request names one by its place here."""


def main() -> int:
    """Serve until the parent goes away."""
    # Ctrl-C reaches the whole process group; the parent decides when this one stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerSettings)
    server = _serve(settings)
    os.write(1, b"ready\n")
    while sys.stdin.buffer.read(4096):
        pass
    del server
    # llama.cpp's own shutdown waits for running requests; nobody is left to read them.
    os._exit(0)


def _serve(settings: WorkerSettings) -> object:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings.weights
    params.n_ctx = settings.context_tokens * settings.parallel
    params.n_parallel = settings.parallel
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    # Each request holds a thread of the server until it ends, even while it waits for a slot.
    params.n_threads_http = settings.requests + SHORT_CALLS
    params.cache_ram_mib = settings.prompt_cache_mb
    # Nothing to fit: sizes are ours to say. Leaving it out saves 0.15 s of each start.
    params.fit_params = False
    params.n_gpu_layers = settings.gpu_layers
    # Loaded, and off until a request says otherwise.
    params.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(each, 0.0) for each in settings.adapters
    ]
    params.lora_init_without_apply = True
    params.hostnames = [settings.socket]
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.ui = False
    params.verbosity = 1
    return xllamacpp.Server(params)


if __name__ == "__main__":
    sys.exit(main())
