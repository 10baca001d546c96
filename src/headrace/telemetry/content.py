"""A trace's texts in OpenTelemetry's form of messages, for those who opted in.

Source: model/gen-ai/gen-ai-input-messages.json and gen-ai-output-messages.json in
open-telemetry/semantic-conventions-genai. Input is what the client sent, before screening.
"""

import msgspec

from headrace.telemetry.trace import AttributeValue
from headrace.types import Choice, Message, Part, ToolCall

__all__ = ["input_messages", "output_messages", "tool_call"]

_decode_messages = msgspec.json.Decoder(list[Message]).decode
_decode_choices = msgspec.json.Decoder(list[Choice]).decode


def input_messages(text: str) -> list[dict[str, object]]:
    """The messages of a trace's `input` (`gen_ai.input.messages`)."""
    return [
        _without_none(role=_role(message.role), parts=_parts(message), name=message.name)
        for message in _decode_messages(text)
    ]


def output_messages(text: str) -> list[dict[str, object]]:
    """The choices of a trace's `output`, one message each (`gen_ai.output.messages`)."""
    return [
        {"role": "assistant", "parts": _answer_parts(choice)} for choice in _decode_choices(text)
    ]


def tool_call(text: str, call_id: str) -> dict[str, AttributeValue]:
    """Arguments and result of a call of a tool, from a trace's `input`
    (`gen_ai.tool.call.arguments`, `gen_ai.tool.call.result`)."""
    found: dict[str, AttributeValue] = {}
    for message in _decode_messages(text) if text else ():
        for call in message.tool_calls or ():
            if call.id == call_id:
                found["gen_ai.tool.call.arguments"] = call.function.arguments
        if message.role == "tool" and message.tool_call_id == call_id:
            found["gen_ai.tool.call.result"] = message.text()
    return found


def _role(role: str) -> str:
    return {"developer": "system", "function": "tool"}.get(role, role)


def _parts(message: Message) -> list[dict[str, object]]:
    if message.role in ("tool", "function"):
        return [
            _without_none(
                type="tool_call_response", id=message.tool_call_id, response=message.text()
            )
        ]
    if isinstance(message.content, str):
        parts = [_text(message.content)]
    else:
        parts = [_part(part) for part in message.content or ()]
    return [*parts, *(_call(call) for call in message.tool_calls or ())]


def _part(part: Part) -> dict[str, object]:
    text = part.get("text")
    if part.get("type") == "text" and isinstance(text, str):
        return _text(text)
    image = part.get("image_url")
    if isinstance(image, dict) and isinstance(uri := image.get("url"), str):
        if not uri.startswith("data:"):
            return {"type": "uri", "modality": "image", "uri": uri}
        # The image itself: its kind is told, its bytes stay here.
        mime_type = uri[len("data:") : 100].partition(",")[0].partition(";")[0]
        return {"type": "openai.image_url", "modality": "image", "mime_type": mime_type}
    return {"type": f"openai.{part.get('type', 'unknown')}"}


def _answer_parts(choice: Choice) -> list[dict[str, object]]:
    parts: list[dict[str, object]] = []
    if choice.reasoning:
        parts.append({"type": "reasoning", "content": choice.reasoning})
    if choice.text:
        parts.append(_text(choice.text))
    return [*parts, *(_call(call) for call in choice.tool_calls)]


def _text(text: str) -> dict[str, object]:
    return {"type": "text", "content": text}


def _call(call: ToolCall) -> dict[str, object]:
    try:
        arguments: object = msgspec.json.decode(call.function.arguments)
    except msgspec.DecodeError:
        # A model may write arguments that are not JSON, or break off; they are kept as they are.
        arguments = call.function.arguments
    return {
        "type": "tool_call",
        "id": call.id,
        "name": call.function.name,
        "arguments": arguments,
    }


def _without_none(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
