"""A server that speaks OpenAI's protocols as their reference describes them, field for field.

Told what to say (`Said`), it says it whole or streamed, in chats, bare completions and responses,
and refuses what OpenAI refuses: a wrong key, an unknown model, an unknown field. Whether it is right
is shown in test_openai.py beside it, by OpenAI's own SDK.

Sources: OpenAI API reference (chat/completions and its streaming, completions, embeddings, models,
responses and its streaming events, error codes); Azure OpenAI's reference for `azure`.
"""

import base64
import itertools
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tests.upstreams.openai_responses import response_events, response_object
from tests.upstreams.said import Said
from tests.upstreams.server import Answer, Asked, Piece, Server, json_answer

__all__ = ["KEY", "LIMITS", "MODEL", "FakeOpenAI", "error_answer"]

KEY = "sk-proj-T3ST0000000000000000000000000000"
MODEL = "gpt-4.1-mini-2025-04-14"
LIMITS = (
    ("x-ratelimit-limit-requests", "5000"),
    ("x-ratelimit-limit-tokens", "160000"),
    ("x-ratelimit-remaining-requests", "4999"),
    ("x-ratelimit-remaining-tokens", "159976"),
    ("x-ratelimit-reset-requests", "12ms"),
    ("x-ratelimit-reset-tokens", "6m0s"),
)
_STREAM = ("content-type", "text/event-stream; charset=utf-8")
_FIELDS = frozenset(
    {
        "messages",
        "model",
        "audio",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    }
)


def error_answer(
    status: int,
    message: str,
    kind: str,
    code: str | None,
    param: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Answer:
    """An error as OpenAI writes it."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json_answer({"error": error}, status, headers)


def _sse(*values: object) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(value) + b"\n\n" for value in values)


@dataclass
class FakeOpenAI:
    """The server's answers; `said` holds one entry a choice."""

    said: list[Said] = field(default_factory=lambda: [Said()])
    azure: bool = False
    """Speak as Azure does: `api-key`, paths of a deployment, content filter results."""

    def mount(self, server: Server) -> None:
        if self.azure:
            for place in ("/openai/v1*", "/openai/deployments/*", "/openai/responses"):
                server.on("POST", place, self.answer)
            server.on("GET", "/openai/*", self.answer)
            return
        server.on("POST", "/v1/*", self.answer)
        server.on("GET", "/v1/*", self.answer)

    def answer(self, asked: Asked) -> Answer:
        refused = self._unauthorized(asked)
        if refused is not None:
            return refused
        if asked.path.endswith("/models"):
            return self._models()
        body = asked.json()
        of_deployment = self.azure and "/deployments/" in asked.path
        if not of_deployment and body.get("model") != MODEL:
            return error_answer(
                404,
                f"The model `{body.get('model')}` does not exist or you do not have access to it.",
                "invalid_request_error",
                "model_not_found",
            )
        if asked.path.endswith("/embeddings"):
            return self._embeddings(body)
        if asked.path.endswith("/responses"):
            return self._response(body)
        if asked.path.endswith("/chat/completions"):
            for name in body.keys() - _FIELDS:
                return error_answer(
                    400,
                    f"Unrecognized request argument supplied: {name}",
                    "invalid_request_error",
                    None,
                )
            return self._chat(body)
        return self._completion(body)

    def _unauthorized(self, asked: Asked) -> Answer | None:
        if self.azure:
            if asked.headers.get("api-key") == KEY:
                return None
            return json_answer(
                {
                    "error": {
                        "code": "401",
                        "message": "Access denied due to invalid subscription key or wrong API "
                        "endpoint. Make sure to provide a valid key for an active subscription.",
                    }
                },
                401,
            )
        if asked.headers.get("authorization") == f"Bearer {KEY}":
            return None
        shown = asked.headers.get("authorization", "").removeprefix("Bearer ")
        return error_answer(
            401,
            f"Incorrect API key provided: {shown}. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            "invalid_request_error",
            "invalid_api_key",
        )

    def _models(self) -> Answer:
        data = [
            {"id": MODEL, "object": "model", "created": 1744317547, "owned_by": "system"},
            {
                "id": "gpt-4-0613",
                "object": "model",
                "created": 1686588896,
                "owned_by": "openai",
                "shutdown_date": "2027-02-01",
            },
        ]
        return json_answer({"object": "list", "data": data})

    def _embeddings(self, body: dict[str, object]) -> Answer:
        inputs = body["input"]
        texts = [inputs] if isinstance(inputs, str) else inputs
        assert isinstance(texts, list)
        vectors = [[float(len(text)), 0.5, -1.0] for text in texts]
        written: list[object] = list(vectors)
        if body.get("encoding_format") == "base64":
            written = [base64.b64encode(array("f", each).tobytes()).decode() for each in vectors]
        data = [
            {"object": "embedding", "index": i, "embedding": each} for i, each in enumerate(written)
        ]
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        return json_answer({"object": "list", "data": data, "model": MODEL, "usage": usage})

    def _common(self, kind: str) -> dict[str, object]:
        return {
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "object": kind,
            "created": 1741569952,
            "model": MODEL,
            "service_tier": "default",
            "system_fingerprint": "fp_b376dfbbd5",
        }

    def _usage(self) -> dict[str, object]:
        return {
            "prompt_tokens": 19,
            "completion_tokens": 10 * len(self.said),
            "total_tokens": 19 + 10 * len(self.said),
            "prompt_tokens_details": {"cached_tokens": 16, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 3,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _chat(self, body: dict[str, object]) -> Answer:
        with_logprobs = body.get("logprobs") is True
        if body.get("stream"):
            options = body.get("stream_options")
            with_usage = isinstance(options, dict) and options.get("include_usage") is True
            pieces = self._chunks(with_usage=with_usage, with_logprobs=with_logprobs)
            return Answer(200, [_STREAM, *LIMITS], pieces)
        choices = [
            {
                "index": i,
                "message": said.message(),
                "logprobs": said.logprobs() if with_logprobs else None,
                "finish_reason": said.finish_reason,
            }
            for i, said in enumerate(self.said)
        ]
        whole = {**self._common("chat.completion"), "choices": choices, "usage": self._usage()}
        return json_answer(whole, headers=LIMITS)

    def _chunks(self, *, with_usage: bool, with_logprobs: bool) -> Iterator[Piece]:
        """Chunks of all choices, interleaved, as the reference shows them."""
        common = self._common("chat.completion.chunk")
        usage: dict[str, object] = {"usage": None} if with_usage else {}
        if self.azure:
            yield _sse(
                {
                    "choices": [],
                    "created": 0,
                    "id": "",
                    "model": "",
                    "object": "",
                    "prompt_filter_results": [
                        {
                            "prompt_index": 0,
                            "content_filter_results": {
                                "hate": {"filtered": False, "severity": "safe"},
                                "jailbreak": {"filtered": False, "detected": False},
                            },
                        }
                    ],
                }
            )
        streams = [said.deltas(with_logprobs=with_logprobs) for said in self.said]
        for turn in itertools.zip_longest(*streams):
            for i, delta in enumerate(turn):
                if delta is not None:
                    choice = {"index": i, "finish_reason": None, "logprobs": None, **delta}
                    yield _sse({**common, "choices": [choice], **usage, "obfuscation": "x8Ym"})
        for i, said in enumerate(self.said):
            choice = {
                "index": i,
                "delta": {},
                "logprobs": None,
                "finish_reason": said.finish_reason,
            }
            yield _sse({**common, "choices": [choice], **usage})
        if with_usage:
            yield _sse({**common, "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    def _completion(self, body: dict[str, object]) -> Answer:
        common = {**self._common("text_completion"), "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7"}
        logprobs = body.get("logprobs") is not None
        if not body.get("stream"):
            choices = [
                {
                    "text": said.text(),
                    "index": i,
                    "logprobs": said.legacy_logprobs(said.pieces) if logprobs else None,
                    "finish_reason": said.finish_reason,
                }
                for i, said in enumerate(self.said)
            ]
            return json_answer({**common, "choices": choices, "usage": self._usage()})
        pieces: list[Piece] = []
        for i, said in enumerate(self.said):
            for text in said.pieces:
                choice = {
                    "text": text,
                    "index": i,
                    "logprobs": said.legacy_logprobs([text]) if logprobs else None,
                    "finish_reason": None,
                }
                pieces.append(_sse({**common, "choices": [choice]}))
            last = {"text": "", "index": i, "logprobs": None, "finish_reason": said.finish_reason}
            pieces.append(_sse({**common, "choices": [last]}))
        pieces.append(_sse({**common, "choices": [], "usage": self._usage()}))
        pieces.append(b"data: [DONE]\n\n")
        return Answer(200, [_STREAM], pieces)

    def _response(self, body: dict[str, object]) -> Answer:
        said = self.said[0]
        if not body.get("stream"):
            return json_answer(response_object(said, MODEL), headers=LIMITS)
        events = [
            b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))
            for event in response_events(said, MODEL)
        ]
        return Answer(200, [_STREAM, *LIMITS], events)
