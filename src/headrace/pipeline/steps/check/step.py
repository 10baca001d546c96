"""The step `check`: is the answer what was asked for? It looks and reports.

Runs on the finished answer, exactly as the user got it. Each check says `ok`, `not checked: …`
or what is wrong, in `turn.state["check"]` and so on the step's span in the trace. Only the check
against the passages may change the answer; it is in grounded.py.

What it does not do: judge whether the answer is true, helpful or safe. A short or mixed answer has
no sure language and passes.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, Literal, NoReturn, Self, TypeAlias, get_args

import msgspec

from headrace.errors import ConfigError
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.steps.check.grounded import GROUNDED, GroundedCheck, GroundedSettings
from headrace.pipeline.steps.check.judge import Judge
from headrace.pipeline.steps.normalize.language import identify, load_profiles
from headrace.pipeline.steps.normalize.passage import prose
from headrace.pipeline.turn import Turn
from headrace.screening.groundedness.support import load_weights
from headrace.types import Choice, Deltas

__all__ = ["CheckName", "CheckSettings", "CheckStep"]

CheckName: TypeAlias = Literal["empty", "cut", "language", "json", "schema", "arguments", "parrot"]

_OK: Final = "ok"
_LEAST_LETTERS: Final = 40
"""An answer shorter than this ("Paris.") may be in any language."""
_ASKS_FOR_LANGUAGE = re.compile(
    r"translat|\b(?:in|into|to) (?:english|german|french|spanish|italian|portuguese|dutch|polish"
    r"|turkish|vietnamese|russian|ukrainian|arabic|hindi|chinese|mandarin|japanese|korean|thai"
    r"|swedish|danish|norwegian|finnish|czech|greek|hebrew|latin)\b"
    r"|übersetz|auf (?:englisch|deutsch|französisch|spanisch|chinesisch|italienisch)"
    r"|tradu[icz]|en (?:anglais|allemand|espagnol|chinois|inglés|francés|alemán|chino)\b"
    r"|em inglês|in inglese|vertaal|in het (?:engels|duits|frans)|przet[łl]umacz|po angielsku"
    r"|çevir|ingilizce|dịch|tiếng anh|перев[её]д|переклад|по-английски|англійською|ترجم|بالإنجليزية"
    r"|अनुवाद|अंग्रेज़ी|翻译|翻譯|译成|用英[语文]|英語で|翻訳|訳して|번역|영어로|แปล|ภาษาอังกฤษ",
    re.IGNORECASE,
)
_WORDS = re.compile(r"\w+")
_PARROT_SHARE: Final = 0.9
"""Share of the answer's words, counted with repeats, that the question has too."""
_LEAST_PARROT_WORDS: Final = 4


class CheckSettings(Settings, frozen=True, kw_only=True):
    """Settings of `check`."""

    checks: list[CheckName] = msgspec.field(default_factory=lambda: list(get_args(CheckName)))
    """Which checks run; all of them unless listed here."""
    on_failure: Literal["flag"] = "flag"
    """What a failed check does: `flag` records it in the trace, and the answer stays."""
    grounded: GroundedSettings | None = None
    """Holds the answer against the passages that `ground` looked up; absent: it does not."""


Check: TypeAlias = Callable[[Turn, Choice], str]


class CheckStep(Step[CheckSettings]):
    """Holds the finished answer against the question."""

    name = "check"
    Settings = CheckSettings

    def __init__(self, settings: CheckSettings, grounded: GroundedCheck | None = None) -> None:
        super().__init__(settings)
        self._grounded = grounded

    @classmethod
    def build(cls, settings: CheckSettings, context: BuildContext) -> Self:
        """Raises ConfigError where the check against the passages would not see the answer."""
        if "language" in settings.checks:
            load_profiles()
        if settings.grounded is None:
            return cls(settings)
        if context.before_generate or context.later:
            raise ConfigError(
                "pipeline: check.grounded judges the answer as the user gets it, but "
                f"`{context.later[0]}` stands behind it",
                hint="make `check` the last step",
            )
        judge = Judge(context.embedder, settings.grounded.threshold)
        return cls(settings, GroundedCheck(settings.grounded, judge))

    def digest_inputs(self) -> object:
        return {"grounded": load_weights()} if self._grounded is not None else None

    def transform(self, turn: Turn, deltas: Deltas) -> Deltas:
        """Hold the answer against the passages, if any were looked up."""
        looks_up = turn.passages is not None or turn.searches
        if self._grounded is None or not looks_up or turn.kind == "completion":
            return deltas
        return (
            deltas
            if _wanted_format(turn) not in (None, "text")
            else self._grounded.watch(turn, deltas)
        )

    async def complete(self, turn: Turn) -> None:
        if turn.blocked is not None:
            turn.state[self.name] = {"skipped": "a policy stopped the answer"}
            return
        said: dict[str, str] = {
            name: _worst(_CHECKS[name](turn, choice) for choice in turn.choices)
            for name in self.settings.checks
        }
        if self._grounded is not None:
            results = turn.state.get(GROUNDED)
            if isinstance(results, list):
                said["grounded"] = _worst(results)
            else:
                said["grounded"] = "not checked: nothing was looked up"
        turn.state[self.name] = dict(said)


def _worst(results: Iterable[str]) -> str:
    """One result for all choices: the first failure, else the first that was not checked."""
    said = list(results) or ["not checked: there is no answer"]
    skipped = [each for each in said if each.startswith("not checked")]
    failed = [each for each in said if each != _OK and each not in skipped]
    return (failed or skipped or [_OK])[0]


def _empty(turn: Turn, choice: Choice) -> str:
    del turn
    said = choice.text.strip() or choice.refusal or choice.tool_calls
    return _OK if said else "the answer is empty"


def _cut(turn: Turn, choice: Choice) -> str:
    del turn
    return "cut off by max_tokens or the context's end" if choice.finish_reason == "length" else _OK


def _language(turn: Turn, choice: Choice) -> str:
    question = turn.question
    if turn.language is None or not question:
        return "not checked: the question's language is unknown"
    if _ASKS_FOR_LANGUAGE.search(question):
        return "not checked: the question asks for a language"
    if _wanted_format(turn) not in (None, "text"):
        return "not checked: JSON has no language"
    answer = prose(choice.text)
    if sum(map(str.isalpha, answer)) < (
        _LEAST_LETTERS if answer.isascii() else _LEAST_LETTERS // 4
    ):
        return "not checked: the answer is too short"
    language = identify(answer)
    if language is None:
        return "not checked: the answer's language is unsure"
    if language == turn.language:
        return _OK
    return f"asked in {turn.language}, answered in {language}"


def _json(turn: Turn, choice: Choice) -> str:
    if _wanted_format(turn) not in ("json_object", "json_schema"):
        return "not checked: no JSON was asked for"
    try:
        value = msgspec.json.decode(choice.text)
    except (msgspec.DecodeError, RecursionError):
        return "not JSON"
    if _wanted_format(turn) == "json_object" and not isinstance(value, dict):
        return "JSON, but not an object"
    return _OK


def _schema(turn: Turn, choice: Choice) -> str:
    wanted = _response_format(turn).get("json_schema")
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict | bool):
        return "not checked: no JSON Schema was given"
    return _conforms(choice.text, schema)


def _arguments(turn: Turn, choice: Choice) -> str:
    if not choice.tool_calls:
        return "not checked: no tool was called"
    parameters = _parameters_by_tool(turn)
    for call in choice.tool_calls:
        name = call.function.name
        if name not in parameters:
            return "a tool was called that was not offered"
        result = _conforms(call.function.arguments or "{}", parameters[name])
        if result != _OK:
            return result
    return _OK


def _parrot(turn: Turn, choice: Choice) -> str:
    asked = _counted(turn.question)
    said = _counted(choice.text)
    words = sum(said.values())
    if words < _LEAST_PARROT_WORDS or sum(asked.values()) < _LEAST_PARROT_WORDS:
        return "not checked: too few words"
    # As long as the question, too: an answer may well use the question's words.
    shared = sum(min(count, asked.get(word, 0)) for word, count in said.items())
    if shared >= _PARROT_SHARE * max(words, sum(asked.values())):
        return "the answer repeats the question"
    return _OK


def _counted(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in _WORDS.findall(text.casefold()):
        # Scripts without spaces: a letter is the smallest thing that can be compared.
        for part in (word,) if word.isascii() else word:
            counts[part] = counts.get(part, 0) + 1
    return counts


def _response_format(turn: Turn) -> dict[str, object]:
    return turn.params.response_format or turn.template_params.response_format or {}


def _wanted_format(turn: Turn) -> object:
    return _response_format(turn).get("type")


def _parameters_by_tool(turn: Turn) -> dict[str, dict[str, object]]:
    offered = turn.params.tools or turn.template_params.tools or []
    functions = [tool["function"] for tool in offered if isinstance(tool.get("function"), dict)]
    return {
        str(function.get("name")): function.get("parameters") or {}
        for function in functions
        if isinstance(function, dict)
    }


def _conforms(text: str, schema: dict[str, object] | bool) -> str:
    """Whether JSON `text` conforms to `schema`; says where it does not, never quotes the text."""
    # 15 MB of code: only a turn that brings a schema pays for it.
    from jsonschema_rs import RegexOptions, ValidationError, validator_for

    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return "not JSON"
    try:
        # The linear-time engine: a hostile pattern cannot stop the event loop.
        validator = validator_for(
            schema, retriever=_refuse, pattern_options=RegexOptions(), validate_formats=False
        )
    except (ValidationError, ValueError):
        return "not checked: the JSON Schema is not valid, or uses what is not supported"
    error = next(validator.iter_errors(value), None)
    if error is None:
        return _OK
    where = "/".join(str(part) for part in error.schema_path)
    return f"does not conform to the JSON Schema at {where}"


def _refuse(uri: str) -> NoReturn:
    """A schema of a request must not make this server fetch anything."""
    raise ValueError(f"references outside the schema are not followed: {uri}")


_CHECKS: Final[dict[CheckName, Check]] = {
    "empty": _empty,
    "cut": _cut,
    "language": _language,
    "json": _json,
    "schema": _schema,
    "arguments": _arguments,
    "parrot": _parrot,
}
