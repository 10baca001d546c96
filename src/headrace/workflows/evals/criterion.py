"""How an answer is graded: OpenAI's graders of text, and any scorer of a suite.

Not here: `python`, which would run a client's code on this server (write a `function` into a suite
instead), and the metrics that are not ours (`gleu`, `meteor`, ROUGE by n-grams).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.errors import InvalidRequest
from headrace.evaluation import text
from headrace.evaluation.ask import Answer
from headrace.evaluation.scorer import Scored, Scorer, Tools
from headrace.evaluation.scorers.table import BUILT_IN, installed, make_scorer
from headrace.evaluation.suite import Case
from headrace.workflows.evals.job import Criterion
from headrace.workflows.evals.template import filled, messages

__all__ = ["AskModel", "Grade", "Grader", "check_criteria", "make_grader"]


@dataclass(frozen=True, slots=True)
class Grade:
    """What one criterion says of one answer."""

    score: float
    passed: bool
    note: str = ""


_ONLY_IN_SUITES = frozenset(("function", "regex"))
_MOST_COMPARED = 20_000
"""Characters of both texts: likeness takes the square of them, beside live answers."""

Values: TypeAlias = Mapping[str, object]
"""`item` and `sample`."""
Grader: TypeAlias = Callable[[Values], Awaitable[Grade]]
AskModel: TypeAlias = Callable[[dict[str, object]], Awaitable[str]]
"""Answers the body of a chat request with its text."""


class StringCheck(msgspec.Struct, frozen=True, kw_only=True, tag="string_check"):
    name: str
    input: str
    reference: str
    operation: Literal["eq", "ne", "like", "ilike"]


class TextSimilarity(msgspec.Struct, frozen=True, kw_only=True, tag="text_similarity"):
    name: str
    input: str
    reference: str
    evaluation_metric: Literal["cosine", "fuzzy_match", "bleu", "rouge_l"]
    pass_threshold: float


class LabelModel(msgspec.Struct, frozen=True, kw_only=True, tag="label_model"):
    name: str
    model: str
    input: list[object]
    labels: Annotated[list[str], Meta(min_length=1)]
    passing_labels: list[str]


class ScoreModel(msgspec.Struct, frozen=True, kw_only=True, tag="score_model"):
    name: str
    model: str
    input: list[object]
    range: Annotated[list[float], Meta(min_length=2, max_length=2)] = msgspec.field(
        default_factory=lambda: [0.0, 1.0]
    )
    pass_threshold: float | None = None
    """The middle of the range when it is absent."""
    sampling_params: dict[str, object] | None = None


class SuiteScorer(msgspec.Struct, frozen=True, kw_only=True, tag="headrace_scorer"):
    """Ours: a scorer as a suite names it, over items that are cases."""

    name: str
    scorer: str | dict[str, dict[str, object]]
    pass_threshold: float = 0.5


_Known: TypeAlias = StringCheck | TextSimilarity | LabelModel | ScoreModel | SuiteScorer


def check_criteria(criteria: list[Criterion], tools: Tools) -> None:
    """
    Raises:
        InvalidRequest: one that cannot be graded here; `param` says which.
    """
    if not criteria:
        raise InvalidRequest("'testing_criteria' is empty", param="testing_criteria")
    names: set[str] = set()
    for at, each in enumerate(criteria):
        param = f"testing_criteria[{at}]"
        if each.get("type") == "python":
            raise InvalidRequest(
                "this server runs no code of clients",
                hint="write the function into the service's folder and a suite",
                param=param,
            )
        known = _read(each, param)
        if known.name in names:
            raise InvalidRequest(f"the name {known.name!r} stands here twice", param=param)
        names.add(known.name)
        if isinstance(known, LabelModel) and not set(known.passing_labels) <= set(known.labels):
            raise InvalidRequest("'passing_labels' are some of 'labels'", param=param)
        if isinstance(known, SuiteScorer):
            _check_harmless(known, param)
            try:
                make_scorer(known.scorer, tools)
            except ValueError as error:
                raise InvalidRequest(str(error), param=param) from None


def _check_harmless(criterion: SuiteScorer, param: str) -> None:
    """A client may not run the folder's code, read its files, or bring a pattern that never ends."""
    written = criterion.scorer
    kinds = {written: {}} if isinstance(written, str) else written
    for kind, settings in kinds.items():
        if kind in _ONLY_IN_SUITES | installed() or (kind in BUILT_IN and "file" in settings):
            raise InvalidRequest(
                f"the scorer {kind!r} stands in suites of the service's folder only",
                hint="an admin writes it into evals/*.yaml",
                param=param,
            )


def make_grader(criterion: Criterion, tools: Tools, ask: AskModel) -> Grader:
    """Grades by one criterion that was checked."""
    known = _read(criterion, "testing_criteria")
    if isinstance(known, StringCheck):
        return _checking(known)
    if isinstance(known, TextSimilarity):
        return _comparing(known, tools)
    if isinstance(known, LabelModel):
        return _labelling(known, ask)
    if isinstance(known, ScoreModel):
        return _scoring(known, ask)
    return _by_suite(known, make_scorer(known.scorer, tools))


def _read(criterion: Criterion, param: str) -> _Known:
    try:
        return msgspec.convert(criterion, _Known)  # type: ignore[no-any-return]  # a union
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}", param=param) from None


def _checking(criterion: StringCheck) -> Grader:
    async def grade(values: Values) -> Grade:
        said, wanted = filled(criterion.input, values), filled(criterion.reference, values)
        holds = {
            "eq": said == wanted,
            "ne": said != wanted,
            "like": wanted in said,
            "ilike": wanted.casefold() in said.casefold(),
        }[criterion.operation]
        return Grade(float(holds), holds)

    return grade


def _comparing(criterion: TextSimilarity, tools: Tools) -> Grader:
    async def grade(values: Values) -> Grade:
        said, wanted = filled(criterion.input, values), filled(criterion.reference, values)
        _check_length(said, wanted)
        score = await _likeness(criterion.evaluation_metric, said, wanted, tools)
        return Grade(score, score >= criterion.pass_threshold)

    return grade


async def _likeness(metric: str, said: str, wanted: str, tools: Tools) -> float:
    if metric == "cosine":
        if not said.strip() or not wanted.strip():
            return 0.0
        one, two = await (await tools.embedder()).embed([said, wanted])
        return float(one @ two)
    compare = {"bleu": text.bleu, "fuzzy_match": _fuzzy, "rouge_l": text.rouge_l}[metric]
    return await asyncio.to_thread(compare, said, wanted)


def _fuzzy(said: str, wanted: str) -> float:
    return SequenceMatcher(None, said.casefold(), wanted.casefold(), autojunk=False).ratio()


def _check_length(*texts: str) -> None:
    if sum(map(len, texts)) > _MOST_COMPARED:
        raise InvalidRequest(f"texts of over {_MOST_COMPARED:,} characters are not compared")


def _labelling(criterion: LabelModel, ask: AskModel) -> Grader:
    async def grade(values: Values) -> Grade:
        schema = {"enum": criterion.labels}
        body = _body(criterion.model, messages(criterion.input, values), "label", schema)
        said = await ask(body)
        label = _field(said, "label")
        if label not in criterion.labels:
            label = said.strip()
        if label not in criterion.labels:
            raise InvalidRequest(f"the grader {criterion.name!r} gave no label")
        passed = label in criterion.passing_labels
        return Grade(float(passed), passed, str(label))

    return grade


def _scoring(criterion: ScoreModel, ask: AskModel) -> Grader:
    low, high = criterion.range
    least = (low + high) / 2 if criterion.pass_threshold is None else criterion.pass_threshold

    async def grade(values: Values) -> Grade:
        schema = {"type": "number", "minimum": low, "maximum": high}
        body = _body(criterion.model, messages(criterion.input, values), "result", schema)
        sampling = dict(criterion.sampling_params or {})
        if (most := sampling.pop("max_completions_tokens", None)) is not None:
            sampling["max_completion_tokens"] = most
        said = await ask({**body, **sampling})
        found = _field(said, "result")
        if not isinstance(found, int | float) or isinstance(found, bool):
            found = _number(said)
        if found is None or not low <= found <= high:
            raise InvalidRequest(
                f"the grader {criterion.name!r} gave no number from {low:g} to {high:g}"
            )
        return Grade(float(found), found >= least)

    return grade


def _by_suite(criterion: SuiteScorer, scorer: Scorer) -> Grader:
    async def grade(values: Values) -> Grade:
        try:
            case = msgspec.convert({"id": "item", **_mapping(values["item"])}, Case)
            scorer.check(case)
        except (msgspec.ValidationError, ValueError) as error:
            raise InvalidRequest(f"the item is no case: {error}") from None
        sample = _mapping(values.get("sample"))
        took = sample.get("total_s", 0.0)
        answer = Answer(
            text=str(sample.get("output_text", "")),
            total_s=took if isinstance(took, int | float) else 0.0,
        )
        _check_length(answer.text, str(case.target))
        score = await scorer.score(Scored(case, answer))
        return Grade(score.value, score.value >= criterion.pass_threshold, score.note)

    return grade


def _body(
    model: str, said: list[dict[str, str]], name: str, schema: Mapping[str, object]
) -> dict[str, object]:
    return {
        "model": model,
        "messages": said,
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": name,
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {name: schema},
                    "required": [name],
                    "additionalProperties": False,
                },
            },
        },
    }


def _field(said: str, name: str) -> object:
    try:
        return _mapping(msgspec.json.decode(said)).get(name)
    except (msgspec.DecodeError, RecursionError):
        return None


def _number(said: str) -> float | None:
    try:
        return float(said)
    except ValueError:
        return None


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
