"""`POST /v1/embeddings`: vectors of texts, by the model itself."""

import base64
import struct

import msgspec

from headrace.errors import InvalidRequest
from headrace.gateway.call import Call
from headrace.gateway.turns import subject_of
from headrace.gateway.wire import EmbeddingsRequest, decode
from headrace.pipeline.embedding import EmbeddingTurn

__all__ = ["answer_embeddings"]

MOST_INPUTS = 2048


async def answer_embeddings(call: Call) -> None:
    """Answer a request with one or more inputs.

    Raises:
        InvalidRequest: no input, an empty one, or dimensions that the model does not have.
    """
    request, _ = decode(await call.body(), EmbeddingsRequest)
    inputs = [request.input] if isinstance(request.input, str) else request.input
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise InvalidRequest(
            f"'input' holds {len(inputs)} texts; allowed: 1 to {MOST_INPUTS}", param="input"
        )
    for position, text in enumerate(inputs):
        if not text:
            raise InvalidRequest("an input is empty", param=f"input[{position}]")
    turn = EmbeddingTurn(
        principal=call.principal,
        inputs=inputs,
        model=request.model,
        kind=request.input_type,
        subject=subject_of(request.user),
        trace=call.trace(),
    )
    await _answer(call, request, turn)


async def _answer(call: Call, request: EmbeddingsRequest, turn: EmbeddingTurn) -> None:
    made = await call.service.embedder.embed(turn)
    dimension = len(made.vectors[0])
    if request.dimensions not in (None, dimension):
        raise InvalidRequest(
            f"the model gives vectors of {dimension} dimensions, not {request.dimensions}",
            hint="leave `dimensions` out",
            param="dimensions",
        )
    encode = _base64 if request.encoding_format == "base64" else list
    tokens = made.usage.prompt_tokens
    body: dict[str, object] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(made.vectors)
        ],
        "model": turn.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    if made.truncated:
        # Not OpenAI's: the inputs of which only the beginning counted.
        body["truncated"] = made.truncated
    await call.respond(msgspec.json.encode(body))


def _base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, as OpenAI's SDKs ask for them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
