"""Scorers by what they say of an answer; those that ask a model ask one that is scripted."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from headrace.config.node import parse_yaml
from headrace.errors import ConfigError
from headrace.evaluation.ask import Answer, Ask
from headrace.evaluation.errors import JudgeUndecided
from headrace.evaluation.scorer import Score, Scored, Tools
from headrace.evaluation.scorers.table import make_scorers
from headrace.evaluation.suite import Case, parse_suite
from headrace.models.embedder import ModelEmbedder


def only_scorer(written: str, tools: Tools, case: str = "{id: a, input: q, target: b}"):  # type: ignore[no-untyped-def]
    node = parse_yaml(
        f"scorers: [{written}]\ncases: [{case}]\n", "evals/a.yaml", {}, root=tools.root
    )
    suite = parse_suite(node, tools.root, "a")
    (scorer,) = make_scorers(node, suite, tools).values()
    return scorer


async def scored(
    written: str, text: str, tools: Tools | None = None, case: Case | None = None
) -> Score:
    case = case or Case(id="a", input="q", target="b")
    scorer = only_scorer(written, tools or Tools())
    found = await scorer.score(Scored(case, Answer(text=text, total_s=2.0, cost_usd=0.5)))
    assert isinstance(found, Score)
    return found


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [
        ('{"age": 3}', 1, ""),
        ('{"age": "3"}', 0, "breaks properties/age/type"),
        ("{", 0, "not JSON"),
        ("[" * 100_000, 0, "not JSON"),
    ],
)
async def test_json_is_held_against_its_schema(text: str, value: float, note: str) -> None:
    schema = "json_schema: {schema: {type: object, properties: {age: {type: integer}}}}"
    assert await scored(schema, text) == Score(value=value, note=note)


async def test_a_schema_may_lie_in_a_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "array"}')
    tools = Tools(root=tmp_path)
    assert (await scored("json_schema: {file: s.json}", "[]", tools)).value == 1
    for wrong, said in (("../s.json", "outside"), ("no.json", "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            only_scorer(f"json_schema: {{file: {wrong}}}", tools)


async def test_time_and_cost_are_held_against_a_ceiling() -> None:
    assert (await scored("latency: {most_s: 2}", "")).value == 1
    assert (await scored("latency: {most_s: 1.9}", "")).value == 0
    assert (await scored("cost: {most_usd: 0.4}", "")).value == 0


async def test_a_policy_finds_what_an_answer_may_not_hold(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "strict.yaml").write_text("output: {email: mask}\n")
    tools = Tools(root=tmp_path)
    found = await scored("screening: {policy: strict}", "Write to ann@example.org.", tools)
    assert found == Score(value=0, note="email")
    assert (await scored("screening: {policy: strict}", "Write to us.", tools)).value == 1
    with pytest.raises(ConfigError, match="no policy 'stric'"):
        only_scorer("screening: {policy: stric}", tools)


async def test_a_function_of_the_folder_scores(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "polite.py").write_text(
        "def please(case, answer):\n    return 'please' in answer\n"
    )
    tools = Tools(root=tmp_path)
    assert (await scored("function: {call: checks.polite.please}", "yes please", tools)).value == 1
    for call, said in (
        ("checks.polite.thanks", "no function 'thanks'"),
        ("checks.rude.please", "no file rude.py"),
        ("please", "lacks the module"),
        ("../x", "dotted path"),
    ):
        with pytest.raises(ConfigError, match=said):
            only_scorer(f"function: {{call: {call}}}", tools)


async def test_a_package_brings_a_scorer_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "acme_scorers-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-scorers\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[headrace.scorers]\nshout = acme_scorers:shout\nbroken = acme_scorers:nothing\n"
    )
    (tmp_path / "acme_scorers.py").write_text(
        "def shout(settings):\n"
        "    if 'mark' not in settings:\n"
        "        raise ValueError('`mark` is missing')\n"
        "    return lambda case, answer: answer.endswith(settings['mark'])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert (await scored("shout: {mark: '!'}", "Hey!")).value == 1
    with pytest.raises(ConfigError, match=re.escape("shout: `mark` is missing")):
        only_scorer("shout", Tools())
    with pytest.raises(ConfigError, match=r"acme-scorers 1\.0 cannot be loaded: AttributeError"):
        only_scorer("broken", Tools())


def judged_by(*letters: str) -> tuple[Tools, list[Ask]]:
    """A judge that says these, over and over."""
    asks: list[Ask] = []

    async def ask(ask: Ask) -> Answer:
        asks.append(ask)
        letter = letters[(len(asks) - 1) % len(letters)]
        return Answer(text=f'{{"verdict": "{letter}"}}')

    return Tools(ask=ask), asks


@pytest.mark.parametrize(
    ("letters", "value"),
    [("A", 0.5), ("B", 0.5), ("AB", 1.0), ("BA", 0.0)],
)
async def test_a_judge_that_prefers_a_place_decides_nothing(letters: str, value: float) -> None:
    tools, asks = judged_by(*letters)
    for kind in ("judge", "pairwise"):
        assert (await scored(f"{kind}: {{votes: 4}}", "other", tools)).value == value
    assert len({ask.params.seed for ask in asks}) == 4
    one, two = asks[4].messages[1].text(), asks[5].messages[1].text()
    assert one.index("other") < one.index("Second answer") < two.index("<<<other>>>")


async def test_ties_count_half_and_equal_texts_are_not_asked() -> None:
    tools, asks = judged_by("C")
    assert (await scored("pairwise", "other", tools)).value == 0.5
    asks.clear()
    assert (await scored("pairwise", "b", tools)).note == "the same"
    assert not asks


async def test_a_judge_without_a_verdict_gives_no_score() -> None:
    for letter in ("Z", ""):
        tools, _ = judged_by(letter)
        with pytest.raises(JudgeUndecided):
            await scored("judge", "x", tools)
    tools, _ = judged_by("A")
    with pytest.raises(JudgeUndecided, match="baseline"):
        await scored("pairwise: {against: baseline}", "x", tools)


@pytest.mark.parametrize("wrong", ["votes: 3", "votes: 0", "rubric: ''", "model: 1", "vote: 2"])
def test_a_wrong_judge_is_said_before_anything_is_asked(wrong: str) -> None:
    with pytest.raises(ConfigError):
        only_scorer(f"judge: {{{wrong}}}", Tools())


async def test_two_of_a_kind_have_names_of_their_own() -> None:
    node = parse_yaml(
        "scorers: [judge: {as: kind, rubric: It is kind.}, judge: {as: brief, rubric: It is brief.}]\n"
        "cases: [{input: q}]\n",
        "evals/a.yaml", {}, root=Path(),
    )  # fmt: skip
    found = make_scorers(node, parse_suite(node, Path(), "a"))
    assert list(found) == ["kind", "brief"]
    scored = Scored(Case(input="q", id="a"), Answer(text="x"))
    assert found["kind"].key(scored) != found["brief"].key(scored)


class Axes:
    """Vectors by hand: texts of one first letter lie alike."""

    id = "axes"

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"] = "passage"
    ) -> NDArray[np.float32]:
        del kind
        return np.asarray([[1, 0] if t[0] == "b" else [-0.6, 0.8] for t in texts], np.float32)


async def test_similarity_is_a_cosine_and_never_below_nothing() -> None:
    async def embedder() -> Axes:
        return Axes()

    tools = Tools(embedder=embedder)
    assert (await scored("similarity", "beta", tools)).value == 1
    assert (await scored("similarity", "alpha", tools)).value == 0
    assert (await scored("similarity", " ", tools)).note == "empty answer"


@pytest.mark.model
async def test_claims_are_held_against_their_sources(embedder: ModelEmbedder) -> None:
    async def ready() -> ModelEmbedder:
        return embedder

    tools = Tools(embedder=ready)
    case = Case(
        id="a",
        input="When does the pool open?",
        target="The pool opens at nine.",
        sources=["The swimming pool opens at 9 o'clock on weekdays. Towels cost two euros."],
    )
    good = await scored("grounded", "The pool opens at 9 o'clock on weekdays.", tools, case)
    bad = await scored("grounded", "The pool opens at 7 o'clock on Sundays.", tools, case)
    assert (good.value, bad.value) == (1.0, 0.0)
    assert bad.note == "1 of 1 claims are not supported"
    near = await scored("similarity", "At nine the pool opens.", tools, case)
    far = await scored("similarity", "Cats sleep all day.", tools, case)
    assert near.value > 0.8 > 0.5 > far.value
