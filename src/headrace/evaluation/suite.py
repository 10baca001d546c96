"""Suites: `evals/NAME.yaml`, read with file and line, their cases inline or from JSONL files."""

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from headrace.config.node import Node, shown_path
from headrace.errors import ConfigError
from headrace.types import Params

__all__ = ["Case", "Gate", "Suite", "SuiteFile", "parse_suite"]

MOST_ROW_BYTES = 1 << 20


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to ask, and what the answer is held against."""

    input: str | list[str]
    """What the user says; of a list, each after the answer to the one before. The last is scored."""
    id: str = ""
    """Names the case in reports and pairs it with a baseline's; made of its place when empty."""
    target: str | float | None = None
    """What the scorers compare the answer with."""
    variables: dict[str, object] = msgspec.field(default_factory=dict)
    """For the prompt template."""
    tags: list[str] = msgspec.field(default_factory=list)
    """Slices of the report that the case is part of."""
    sources: list[str] = msgspec.field(default_factory=list)
    """Texts that the answer must stand on, for `grounded`; else those that the pipeline looked up."""
    labels: dict[str, float] = msgspec.field(default_factory=dict)
    """What a person scored this case's answer with, by scorer: the report says how far they agree."""

    @property
    def turns(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold for the suite to pass (`gate:`)."""

    scores: dict[str, float] = msgspec.field(default_factory=dict)
    """The least mean of a scorer."""
    floors: dict[str, float] = msgspec.field(default_factory=dict)
    """The least score of a scorer in every single case: for safety."""
    no_regression: bool = True
    """Fail when a score is significantly (5 %, two-sided) worse than the baseline's, if one is given."""
    max_ttft_p95_s: Annotated[float, Meta(gt=0)] | None = None
    """The most seconds to the first token, in 95 of 100 answers."""
    max_total_p95_s: Annotated[float, Meta(gt=0)] | None = None
    """The most seconds of a whole answer, in 95 of 100."""
    max_cost_usd: Annotated[float, Meta(ge=0)] | None = None
    """The most that all answers together may cost."""
    max_errors: Annotated[int, Meta(ge=0)] = 0
    """How many answers may be missing because the model failed."""


class SuiteFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A suite as it is written."""

    scorers: Annotated[list[str | dict[str, dict[str, object]]], Meta(min_length=1)]
    """Names, or a name with settings: `numeric: {tolerance: 0.1}`."""
    description: str = ""
    """For people."""
    cases: list[Case] = msgspec.field(default_factory=list)
    """Cases written here."""
    files: list[str] = msgspec.field(default_factory=list)
    """JSONL files of cases below the service's folder, a case a line."""
    template: str | None = None
    """The prompt template; the pipeline's choice without it."""
    model: str | None = None
    """The model or route; the pipeline's choice without it."""
    params: dict[str, object] = msgspec.field(default_factory=dict)
    """Inference parameters, over temperature 0."""
    repeats: Annotated[int, Meta(ge=1, le=100)] = 1
    """How often each case is asked, each time with a seed of its own."""
    seed: int = 1
    """The first seed."""
    gate: Gate = msgspec.field(default_factory=Gate)
    """What must hold."""


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite ready to run."""

    name: str
    file: SuiteFile
    cases: list[Case]
    params: Params

    @property
    def version(self) -> str:
        """SHA-256 of everything that the suite asks, scores and demands, as `sha256:…`."""
        data = msgspec.json.encode((self.file, self.cases), order="sorted")
        return f"sha256:{hashlib.sha256(data).hexdigest()}"

    def digest(self, case: Case) -> str:
        """Of everything that this suite says about how the case is asked."""
        file = self.file
        asked = (case.turns, case.variables, file.template, file.model, self.params)
        return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()


def parse_suite(node: Node, root: Path, name: str, *, is_live: bool = False) -> Suite:
    """The suite of one file.

    Args:
        root: the service's folder, below which `files` lie.
        is_live: its cases will be real turns, so it need not have any.

    Raises:
        ConfigError: with file, line and field; in a JSONL file with its line.
    """
    if node.is_empty_file:
        raise node.error("the file is empty", hint="a suite has `cases` and `scorers`")
    file = node.convert(SuiteFile)
    params = node.child("params").convert(Params) if file.params else Params()
    found = [(f"{node.file}:{node.line('cases', i)}", each) for i, each in enumerate(file.cases)]
    for at, path in enumerate(file.files):
        found += _rows(node.child("files", at), root, path)
    if not found and not is_live:
        raise node.error("the suite has no cases", hint="add `cases:` or `files:`")
    cases = _named(found)
    return Suite(name=name, file=file, cases=cases, params=params.over(Params(temperature=0.0)))


def _rows(node: Node, root: Path, name: str) -> list[tuple[str, Case]]:
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise node.error(f"{name!r} lies outside the service's folder")
    found: list[tuple[str, Case]] = []
    shown = shown_path(path)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MOST_ROW_BYTES + 1), b""), 1):
                if len(line) > MOST_ROW_BYTES:
                    raise ConfigError(f"{shown}:{number}: the row is over {MOST_ROW_BYTES} bytes")
                if line.strip():
                    found.append((f"{shown}:{number}", _row(line, f"{shown}:{number}")))
    except OSError as error:
        raise node.error(f"{name} cannot be read: {error.strerror}") from None
    return found


def _row(line: bytes, where: str) -> Case:
    try:
        return msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"), type=Case)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: not a case: {error}") from None


def _named(found: list[tuple[str, Case]]) -> list[Case]:
    cases: list[Case] = []
    places: dict[str, str] = {}
    for number, (where, case) in enumerate(found, 1):
        if not case.turns or not all(text.strip() for text in case.turns):
            raise ConfigError(f"{where}: input: the user says nothing")
        name = case.id or f"case-{number}"
        if name in places:
            raise ConfigError(f"{where}: id: {name!r} is the case at {places[name]} already")
        places[name] = where
        cases.append(msgspec.structs.replace(case, id=name))
    return cases
