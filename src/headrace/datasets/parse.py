"""From a row as people write it to an example, or to what is wrong with it and how to mend it."""

import difflib
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from headrace.datasets.example import Example, Provenance
from headrace.types import FunctionCall, Message, Part, Role, ToolCall

__all__ = ["Problem", "RowInvalid", "parse_object", "parse_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One row that cannot be used."""

    file: str
    line: int
    """From 1; for CSV and Parquet the row, its header not counted."""
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" + (f" ({self.fix})" if self.fix else "")


class RowInvalid(Exception):
    """A row that cannot be used; `fix` says how it could."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.fix = fix

    @property
    def what(self) -> str:
        return str(self.args[0])


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    """A message as it is written: OpenAI's, with the weight of its fine-tuning format."""

    role: Role
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    weight: float | None = None


class _Input(msgspec.Struct, forbid_unknown_fields=True):
    messages: list[_Message]
    tools: list[dict[str, object]] = []
    parallel_tool_calls: bool | None = None


_Said: TypeAlias = str | list[_Message]


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """Every field that any form has."""

    messages: list[_Message] | UnsetType = UNSET
    prompt: _Said | UnsetType = UNSET
    completion: _Said | UnsetType = UNSET
    chosen: _Said | UnsetType = UNSET
    rejected: _Said | UnsetType = UNSET
    input: _Input | UnsetType = UNSET
    preferred_output: list[_Message] | UnsetType = UNSET
    non_preferred_output: list[_Message] | UnsetType = UNSET
    system: str | None = None
    tools: list[dict[str, object]] | None = None
    parallel_tool_calls: bool | None = None
    metadata: dict[str, object] | None = None
    provenance: Provenance | None = None


_FORMS: Final = (
    ("messages",),
    ("prompt", "completion"),
    ("prompt", "chosen", "rejected"),
    ("input", "preferred_output", "non_preferred_output"),
)
_NAMES: Final = tuple(_Row.__struct_fields__)
_OTHER_NAMES: Final = {
    "instruction": "prompt",
    "question": "prompt",
    "query": "prompt",
    "output": "completion",
    "response": "completion",
    "answer": "completion",
    "conversations": "messages",
    "dialogue": "messages",
}
_decode = msgspec.json.Decoder(_Row).decode
_decode_any = msgspec.json.Decoder().decode


def parse_row(line: bytes) -> Example:
    """The example that one line of JSON holds.

    Raises:
        RowInvalid: it is no JSON object, of no known form, or says nothing to learn.
    """
    try:
        row = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _explained(line) from None
    return _example(row)


def parse_object(value: dict[str, object]) -> Example:
    """The example of a row that is no JSON text: of a CSV or Parquet file.

    Raises:
        RowInvalid: as `parse_row`.
    """
    try:
        row = msgspec.convert(value, _Row)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _mismatch(value, str(error)) from None
    return _example(row)


def _explained(line: bytes) -> RowInvalid:
    """What is wrong with a line that is no row."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return RowInvalid(f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8")
    try:
        value = _decode_any(line)
    except (msgspec.DecodeError, RecursionError) as error:
        why = str(error).removeprefix("JSON is malformed: ")
        fix = "each line is one JSON object"
        if text.strip() in ("[", "]") or text.lstrip().startswith("[{"):
            fix = "this is one JSON array: `jq -c '.[]' FILE` writes a line a row"
        elif "'" in text and '"' not in text:
            fix = "JSON has double quotes, not single ones"
        return RowInvalid(f"not JSON: {why}", fix)
    if not isinstance(value, dict):
        return RowInvalid("not a JSON object", 'expected {"messages": [...]} or {"prompt": …}')
    try:
        msgspec.convert(value, _Row)
    except (msgspec.ValidationError, RecursionError) as error:
        return _mismatch(value, str(error))
    return RowInvalid("not a row")


def _mismatch(value: dict[str, object], error: str) -> RowInvalid:
    for name in value:
        if name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, n=1)
            meant = _OTHER_NAMES.get(name) or (near[0] if near else "")
            fix = f"did you mean {meant!r}?" if meant else "put it under 'metadata'"
            return RowInvalid(f"unknown field {name!r}", fix)
    what, _, where = error.partition(" - at ")
    field = where.strip("`").removeprefix("$.")
    return RowInvalid(f"'{field}': {what[:1].lower()}{what[1:]}" if field else what)


def _example(row: _Row) -> Example:
    form = _form(row)
    if form == ("messages",):
        assert not isinstance(row.messages, UnsetType)
        return _chat(row, row.messages)
    if form == ("prompt", "completion"):
        assert not isinstance(row.prompt, UnsetType)
        assert not isinstance(row.completion, UnsetType)
        return _completion(row, row.prompt, row.completion)
    if form == ("prompt", "chosen", "rejected"):
        assert not isinstance(row.prompt, UnsetType)
        assert not isinstance(row.chosen, UnsetType)
        assert not isinstance(row.rejected, UnsetType)
        asked = _as_messages(row.prompt, "user", "prompt")
        return _preference(row, asked, row.chosen, row.rejected, ("chosen", "rejected"))
    assert not isinstance(row.input, UnsetType)
    assert not isinstance(row.preferred_output, UnsetType)
    assert not isinstance(row.non_preferred_output, UnsetType)
    row.tools = row.tools or row.input.tools
    names = ("preferred_output", "non_preferred_output")
    return _preference(
        row, row.input.messages, row.preferred_output, row.non_preferred_output, names
    )


def _form(row: _Row) -> tuple[str, ...]:
    has = {name for form in _FORMS for name in form if getattr(row, name) is not UNSET}
    for form in _FORMS:
        if has == set(form):
            return form
    forms = " or ".join("{" + ", ".join(form) + "}" for form in _FORMS)
    if not has:
        raise RowInvalid("the row says nothing to learn", f"write {forms}")
    best = max(_FORMS, key=lambda form: (len(has & set(form)), -len(form)))
    missing, extra = [n for n in best if n not in has], sorted(has - set(best))
    if missing:
        raise RowInvalid(f"the field '{missing[0]}' is missing", f"beside {best[0]!r}")
    raise RowInvalid(f"'{extra[0]}' does not go with '{best[0]}'", f"write {forms}")


def _chat(row: _Row, written: list[_Message]) -> Example:
    messages, untrained = _read(written, "messages")
    if not messages:
        raise RowInvalid("'messages' is empty")
    last = messages[-1]
    if last.role != "assistant":
        raise RowInvalid(
            f"the last message is the {last.role}'s, so there is no answer to learn",
            "end with a message of the role 'assistant'",
        )
    if all(m.role == "assistant" or m.role in ("system", "developer") for m in messages):
        raise RowInvalid("nobody asks anything", "begin with a message of the role 'user'")
    answers = [i for i, each in enumerate(messages) if each.role == "assistant"]
    if set(answers) <= set(untrained):
        raise RowInvalid("every answer has the weight 0, so there is none to learn")
    return _made(row, kind="chat", messages=messages, untrained=untrained)


def _completion(row: _Row, prompt: _Said, completion: _Said) -> Example:
    asked, _ = _read(_as_messages(prompt, "user", "prompt"), "prompt")
    answer, _ = _read(_as_messages(completion, "assistant", "completion"), "completion")
    if row.system:
        asked.insert(0, Message(role="system", content=row.system))
    if len(answer) != 1 or answer[0].role != "assistant":
        raise RowInvalid("'completion' is not one answer", "write it as text")
    is_plain = isinstance(prompt, str) and isinstance(completion, str) and not row.system
    return _made(row, kind="completion" if is_plain else "chat", messages=[*asked, *answer])


def _preference(
    row: _Row, asked: list[_Message], chosen: _Said, rejected: _Said, names: tuple[str, str]
) -> Example:
    messages, _ = _read(asked, "prompt")
    if row.system:
        messages.insert(0, Message(role="system", content=row.system))
    better, _ = _read(_as_messages(chosen, "assistant", names[0]), names[0])
    worse, _ = _read(_as_messages(rejected, "assistant", names[1]), names[1])
    # TRL also has whole conversations on both sides; what they begin with alike was asked.
    while len(better) > 1 and len(worse) > 1 and better[0] == worse[0]:
        if messages and messages[0] == better[0] and len(messages) > 1:
            messages.pop(0)
            continue
        same = better.pop(0)
        worse.pop(0)
        if not messages or messages[-1] != same:
            messages.append(same)
    if better == worse:
        raise RowInvalid(
            f"'{names[0]}' and '{names[1]}' are the same", "there is nothing to prefer"
        )
    for name, answer in zip(names, (better, worse), strict=True):
        if not answer or answer[-1].role != "assistant":
            raise RowInvalid(f"'{name}' is not an answer of the assistant's")
    if not messages:
        raise RowInvalid("nothing is asked before the two answers")
    return _made(row, kind="preference", messages=messages, chosen=better, rejected=worse)


def _as_messages(said: _Said, role: Role, name: str) -> list[_Message]:
    if not isinstance(said, str):
        return said
    if not said.strip():
        raise RowInvalid(f"'{name}' is empty")
    return [_Message(role=role, content=said)]


def _read(written: list[_Message], field: str) -> tuple[list[Message], list[int]]:
    """The messages, and which answers among them are not learned."""
    read: list[Message] = []
    untrained: list[int] = []
    known_calls: set[str] = set()
    for i, each in enumerate(written):
        where = f"{field}[{i}]"
        calls = each.tool_calls
        if each.function_call is not None:
            calls = [ToolCall(id=f"call_{i}", function=each.function_call)]
        if not (each.content or calls or each.refusal or each.reasoning_content):
            raise RowInvalid(f"'{where}' is empty")
        if each.weight is not None:
            if each.role != "assistant" or each.weight not in (0, 1):
                raise RowInvalid(f"'{where}.weight' is allowed on answers, as 0 or 1")
            if each.weight == 0:
                untrained.append(i)
        if each.role == "tool" and each.tool_call_id not in known_calls:
            raise RowInvalid(f"'{where}' answers no tool call of an earlier message")
        known_calls |= {call.id for call in calls or ()}
        read.append(
            Message(
                role=each.role,
                content=each.content,
                name=each.name,
                tool_calls=calls,
                tool_call_id=each.tool_call_id,
                refusal=each.refusal,
                reasoning_content=each.reasoning_content,
            )
        )
    return read, untrained


def _made(row: _Row, **fields: object) -> Example:
    return Example(
        **fields,  # type: ignore[arg-type]  # each caller names those of its kind
        tools=row.tools or [],
        metadata=row.metadata or {},
        provenance=row.provenance or Provenance(),
    )
