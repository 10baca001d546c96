"""An upstream that speaks Google's Gemini API as its documentation describes it.

What it answers is set by the test as parts; it sends them whole or streams them, cut into small
pieces as the real one does. Google's own SDK reads it in test_gemini.py.
Source: https://ai.google.dev/api/generate-content, …/api/tokens, …/api/embeddings, …/api/models
"""

from dataclasses import dataclass, field

import msgspec

from tests.upstreams.server import Answer, Asked, Server, json_answer

__all__ = ["GeminiUpstream", "chunk", "failure", "streamed"]

KEY = "AIzaTest"
Part = dict[str, object]
_SKIP = "skip_thought_signature_validator"


def chunk(value: object) -> bytes:
    """One server-sent event, with the line ends that Google writes."""
    return b"data: " + msgspec.json.encode(value) + b"\r\n\r\n"


def failure(
    status: int, kind: str, message: str, *details: dict[str, object], listed: bool = False
) -> Answer:
    """An error response, `google.rpc.Status` in JSON."""
    error: dict[str, object] = {"code": status, "message": message, "status": kind}
    if details:
        error["details"] = list(details)
    body = {"error": error}
    return json_answer([body] if listed else body, status)


def streamed(*pieces: bytes) -> Answer:
    """A response of server-sent events, each in a packet of its own."""
    return Answer(200, [("content-type", "text/event-stream")], list(pieces))


def _cut(parts: list[Part]) -> list[Part]:
    """Text in small pieces; a signature comes with the last one. Calls are never cut."""
    pieces: list[Part] = []
    for part in parts:
        text = part.get("text")
        if not isinstance(text, str):
            pieces.append(part)
            continue
        rest = {name: value for name, value in part.items() if name != "thoughtSignature"}
        pieces += [{**rest, "text": text[i : i + 5]} for i in range(0, len(text), 5)]
        if "thoughtSignature" in part:
            pieces.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    return pieces


@dataclass
class GeminiUpstream:
    """What the next answers hold, whole or streamed."""

    server: Server
    parts: list[Part] = field(default_factory=lambda: [{"text": "Hello!"}])
    finish_reason: str = "STOP"
    finish_message: str = ""
    logprobs: Part | None = None
    blocked: Part | None = None
    """`promptFeedback` of a prompt that is refused."""
    usage: Part = field(
        default_factory=lambda: {
            "promptTokenCount": 12,
            "candidatesTokenCount": 6,
            "totalTokenCount": 18,
        }
    )
    needs_signatures: bool = True
    models: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.on("POST", "/v1/models/*", self._post)
        self.server.on("GET", "/v1/models", self._list)

    def _about(self) -> Part:
        return {"modelVersion": "gemini-3.1-pro", "responseId": "tTCwacuEBMvnitYP06qsgQY"}

    def _ended(self) -> Part:
        ended: Part = {"finishReason": self.finish_reason, "index": 0}
        if self.finish_message:
            ended["finishMessage"] = self.finish_message
        if self.logprobs is not None:
            ended |= {"avgLogprobs": -0.1, "logprobsResult": self.logprobs}
        return ended

    def content(self) -> Part:
        """The answer in one piece."""
        if self.blocked is not None:
            return {"promptFeedback": self.blocked, "usageMetadata": self.usage, **self._about()}
        candidate: Part = {"content": {"parts": self.parts, "role": "model"}, **self._ended()}
        return {"candidates": [candidate], "usageMetadata": self.usage, **self._about()}

    def chunks(self) -> list[bytes]:
        """The answer as a stream; only the last chunk counts tokens."""
        if self.blocked is not None:
            return [chunk(self.content())]
        parts = _cut(self.parts)
        chunks = [
            {
                "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
                "usageMetadata": {"trafficType": "ON_DEMAND"},
                **self._about(),
            }
            for part in parts
        ]
        last: Part = {
            "candidates": [{"content": {"role": "model"}, **self._ended()}],
            "usageMetadata": self.usage,
            **self._about(),
        }
        return [chunk(each) for each in [*chunks, last]]

    def _refusal(self, asked: Asked) -> Answer | None:
        if asked.headers.get("x-goog-api-key") == KEY:
            return None
        info: Part = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }
        message = "API key not valid. Please pass a valid API key."
        return failure(400, "INVALID_ARGUMENT", message, info)

    def _post(self, asked: Asked) -> Answer:
        if (refusal := self._refusal(asked)) is not None:
            return refusal
        verb = asked.path.rpartition(":")[2]
        body = asked.json()
        if verb == "countTokens":
            return json_answer({"totalTokens": 31})
        if verb == "batchEmbedContents":
            requests = body["requests"]
            assert isinstance(requests, list)
            vectors = [{"values": [float(i), 0.5]} for i in range(len(requests))]
            return json_answer({"embeddings": vectors})
        if (wrong := self._wrong(body)) is not None:
            return failure(400, "INVALID_ARGUMENT", wrong)
        if verb == "generateContent":
            return json_answer(self.content())
        assert verb == "streamGenerateContent"
        assert asked.query == "alt=sse"
        return streamed(*self.chunks())

    def _wrong(self, body: Part) -> str | None:
        """What the API says of the conversation, if it is wrong."""
        contents = body.get("contents")
        if not isinstance(contents, list) or not contents:
            return "* GenerateContentRequest.contents: contents is not specified\n"
        asked = 0
        for content in contents:
            parts = content["parts"]
            results = [part for part in parts if "functionResponse" in part]
            if len(results) != asked:
                return (
                    "Please ensure that the number of function response parts is equal to the "
                    "number of function call parts of the function call turn."
                )
            calls = [part for part in parts if "functionCall" in part]
            if calls and self.needs_signatures and not calls[0].get("thoughtSignature"):
                name = calls[0]["functionCall"]["name"]
                return (
                    "Function call is missing a thought_signature in functionCall parts. This is "
                    f"required for tools to work correctly. function call `default_api:{name}`"
                )
            asked = len(calls)
        return None

    def _list(self, asked: Asked) -> Answer:
        return self._refusal(asked) or json_answer({"models": self.models})
