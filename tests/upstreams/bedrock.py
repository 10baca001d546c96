"""An upstream that speaks AWS Bedrock's Converse API as its documentation describes it.

It checks each signature with botocore's own signer, over the headers that have come. What it
answers is set by the test as content blocks; it sends them whole or streams them in AWS's binary
framing, cut into small pieces as the real one does. botocore reads it in test_bedrock.py.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

import msgspec
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # it has no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from tests.upstreams.server import Answer, Asked, Server, json_answer

__all__ = ["BedrockUpstream", "event", "exception", "failure", "message", "streamed"]

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
API_KEY = "bedrock-api-key-test"
REGION = "us-east-1"
Block = dict[str, object]


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of the binary framing, all headers being text."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value
        for name, text in headers.items()
        for value in [text.encode()]
    )
    prelude = struct.pack("!II", len(packed) + len(payload) + 16, len(packed))
    prelude += struct.pack("!I", crc32(prelude))
    whole = prelude + packed + payload
    return whole + struct.pack("!I", crc32(whole))


def event(kind: str, payload: object) -> bytes:
    """One event, padded as AWS pads them so that lengths tell nothing."""
    body = {**payload, "p": "abcdefghijk"} if isinstance(payload, dict) else payload
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return message(headers, msgspec.json.encode(body))


def exception(kind: str, text: str) -> bytes:
    """A failure in mid-stream."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return message(headers, msgspec.json.encode({"message": text}))


def failure(status: int, kind: str, text: str) -> Answer:
    """An error response."""
    header = f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    return json_answer({"message": text}, status, [("x-amzn-errortype", header)])


def streamed(*pieces: bytes) -> Answer:
    """A response of events, each in a packet of its own."""
    kind = ("content-type", "application/vnd.amazon.eventstream")
    return Answer(200, [kind], list(pieces))


def _pieces(text: str) -> list[str]:
    return [text[i : i + 5] for i in range(0, len(text), 5)]


def _block_events(index: int, block: Block) -> Iterator[bytes]:
    deltas: list[Block] = []
    if "text" in block:
        # No event tells that a block of text begins.
        deltas = [{"text": piece} for piece in _pieces(str(block["text"]))]
    tool = block.get("toolUse")
    if isinstance(tool, dict):
        start = {name: tool[name] for name in ("toolUseId", "name")}
        yield event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": start}})
        text = msgspec.json.encode(tool["input"]).decode()
        inputs = _pieces(text) if tool["input"] else []
        deltas = [{"toolUse": {"input": piece}} for piece in inputs]
    reasoning = block.get("reasoningContent")
    if isinstance(reasoning, dict):
        said = reasoning.get("reasoningText")
        if isinstance(said, dict):
            deltas = [{"reasoningContent": {"text": piece}} for piece in _pieces(said["text"])]
            deltas.append({"reasoningContent": {"signature": said["signature"]}})
        else:
            deltas = [{"reasoningContent": reasoning}]
    for delta in deltas:
        yield event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
    yield event("contentBlockStop", {"contentBlockIndex": index})


@dataclass
class BedrockUpstream:
    """What the next answers hold, whole or streamed."""

    server: Server
    content: list[Block] = field(default_factory=lambda: [{"text": "Hello!"}])
    stop_reason: str = "end_turn"
    usage: Block = field(
        default_factory=lambda: {"inputTokens": 12, "outputTokens": 6, "totalTokens": 18}
    )
    session_token: str | None = None
    models: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.on("POST", "/model/*", self._post)
        self.server.on("GET", "/foundation-models", self._list)

    def answer(self) -> Block:
        """The answer in one piece."""
        return {
            "output": {"message": {"role": "assistant", "content": self.content}},
            "stopReason": self.stop_reason,
            "usage": self.usage,
            "metrics": {"latencyMs": 551},
        }

    def events(self) -> list[bytes]:
        """The answer as a stream."""
        events = [event("messageStart", {"role": "assistant"})]
        for index, block in enumerate(self.content):
            events += _block_events(index, block)
        events.append(event("messageStop", {"stopReason": self.stop_reason}))
        metadata = {"usage": self.usage, "metrics": {"latencyMs": 551}}
        return [*events, event("metadata", metadata)]

    def _refusal(self, asked: Asked) -> Answer | None:
        authorization = asked.headers.get("authorization", "")
        if not authorization:
            return failure(403, "MissingAuthenticationTokenException", "Missing token")
        if authorization.startswith("Bearer "):
            if authorization == f"Bearer {API_KEY}":
                return None
            return failure(403, "AccessDeniedException", "Authentication failed: API Key invalid")
        given = dict(
            each.strip().split("=", 1) for each in authorization.partition(" ")[2].split(",")
        )
        if given["Credential"].partition("/")[0] != KEY_ID:
            text = "The security token included in the request is invalid."
            return failure(403, "UnrecognizedClientException", text)
        if asked.headers.get("x-amz-security-token") != self.session_token:
            text = "The security token included in the request is expired"
            return failure(403, "ExpiredTokenException", text)
        if given["Signature"] != self._signature(asked, given["SignedHeaders"]):
            text = "The request signature we calculated does not match the one you provided."
            return failure(403, "InvalidSignatureException", text)
        return None

    def _signature(self, asked: Asked, signed: str) -> str:
        """What botocore signs this request with."""
        names = signed.split(";")
        assert "host" in names
        sent = {name for name in asked.headers if name.startswith("x-amz-")}
        assert sent <= set(names), "AWS wants all of these signed"
        url = f"http://{asked.headers['host']}{asked.path}"
        request = AWSRequest(
            method=asked.method,
            url=f"{url}?{asked.query}" if asked.query else url,
            data=asked.body,
            headers={name: asked.headers[name] for name in names},
        )
        request.context["timestamp"] = asked.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(KEY_ID, SECRET), "bedrock", REGION)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return str(signer.signature(text, request))

    def _post(self, asked: Asked) -> Answer:
        if (refusal := self._refusal(asked)) is not None:
            return refusal
        verb = asked.path.rpartition("/")[2]
        body = asked.json()
        if verb == "count-tokens":
            return json_answer({"inputTokens": 31})
        if (wrong := _wrong(body)) is not None:
            return failure(400, "ValidationException", wrong)
        if verb == "converse":
            return json_answer(self.answer())
        assert verb == "converse-stream"
        return streamed(*self.events())

    def _list(self, asked: Asked) -> Answer:
        return self._refusal(asked) or json_answer({"modelSummaries": self.models})


def _wrong(body: Block) -> str | None:
    """What the API says of the conversation, if it is wrong."""
    messages = body.get("messages")
    if not isinstance(messages, list) or messages[0]["role"] != "user":
        return "A conversation must start with a user message."
    asked: list[str] = []
    for each in messages:
        blocks = each["content"]
        results = [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
        if results != asked:
            return "Expected toolResult blocks for the toolUse blocks of the previous turn."
        asked = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
        if (asked or results) and "toolConfig" not in body:
            return (
                "The toolConfig field must be defined when using toolUse and toolResult content "
                "blocks."
            )
        if any(block.get("text") == "" for block in blocks):
            return "The text field in the ContentBlock object is blank."
    return None
