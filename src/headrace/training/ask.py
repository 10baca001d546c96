"""A process that answers with an adapter: `python -m headrace.training.ask WEIGHTS [ADAPTER]`.

Each line on standard input is a JSON object of OpenAI's chat completions; each line on standard
output the answer's text, as JSON. Greedy, one after the other. For comparing adapters before any
service serves them; it is the same llama.cpp that the embedded runtime is.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headrace.models.embedded.cpu import usable_cpus
from headrace.training.errors import TrainingUnavailable
from headrace.types import Message

__all__ = ["Question", "answers", "main"]

_CONTEXT = 4096


class Question(msgspec.Struct, frozen=True):
    """What is asked."""

    messages: Sequence[Message]
    max_tokens: int = 256


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]


def main(args: list[str]) -> int:
    """Answer until standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = args[0]
    params.n_ctx, params.n_parallel = _CONTEXT, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_cpus()
    params.verbosity = 1
    if len(args) > 1:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = args[1], 1.0
        params.lora_adapters = [adapter]
    server = xllamacpp.Server(params)
    for line in sys.stdin.buffer:
        question = msgspec.json.decode(line, type=Question)
        body = {"messages": question.messages, "max_tokens": question.max_tokens, "temperature": 0}
        found = server.handle_chat_completions(msgspec.to_builtins(body))
        encoded = msgspec.json.encode(found) if isinstance(found, dict) else found
        answer = msgspec.json.decode(encoded, type=_Answer)
        text = answer.choices[0].message.content or ""
        sys.stdout.buffer.write(msgspec.json.encode(text) + b"\n")
        sys.stdout.buffer.flush()
    # llama.cpp's own shutdown takes its time; nothing is running.
    sys.stdout.flush()
    os._exit(0)


async def answers(weights: Path, adapter: Path | None, questions: Sequence[Question]) -> list[str]:
    """The answers in order.

    Raises:
        TrainingUnavailable: llama.cpp cannot load these files.
    """
    args = [str(weights), *([str(adapter)] if adapter is not None else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "headrace.training.ask",
        *args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    sent = b"".join(msgspec.json.encode(each) + b"\n" for each in questions)
    out, said = await process.communicate(sent)
    found = [msgspec.json.decode(line, type=str) for line in out.splitlines()]
    if len(found) != len(questions):
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise TrainingUnavailable(
            f"llama.cpp cannot answer with {weights.name} and its adapter: {' '.join(last)}",
            hint="fetch the weights again, or train the adapter again",
        )
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
