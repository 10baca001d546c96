"""What could not be scored is said, and never counts as a score."""

from pathlib import Path

from headrace.config.node import parse_yaml
from headrace.errors import ModelUnavailable
from headrace.evaluation.ask import Answer, Ask
from headrace.evaluation.gate import breaches
from headrace.evaluation.run import Run, run_suite
from headrace.evaluation.scorer import Tools
from headrace.evaluation.scorers.table import make_scorers
from headrace.evaluation.suite import parse_suite

SUITE = """\
scorers: [judge, contains]
cases:
  - {id: good, input: good?, target: x}
  - {id: lost, input: lost?, target: x}
"""


class Kept(dict[str, bytes]):
    """A cache in memory."""

    def put(self, key: str, data: bytes) -> None:
        self[key] = data


async def judged(kept: Kept, asks: list[Ask], *, is_down: bool) -> Run:
    async def judge(ask: Ask) -> Answer:
        asks.append(ask)
        if is_down and "lost?" in ask.messages[1].text():
            raise ModelUnavailable("the judge is down")
        letter = "A" if ask.params.seed == 1 else "B"
        return Answer(text=f'{{"verdict": "{letter}"}}')

    async def answer(ask: Ask) -> Answer:
        return Answer(text="x")

    node = parse_yaml(SUITE, "evals/a.yaml", {}, root=Path())
    suite = parse_suite(node, Path(), "a")
    scorers = make_scorers(node, suite, Tools(ask=judge))
    return await run_suite(suite, scorers, answer, kept, release="r", parallel=2)


async def test_a_judge_that_is_down_costs_its_scores_only_and_is_asked_again() -> None:
    kept, asks = Kept(), list[Ask]()
    run = await judged(kept, asks, is_down=True)
    assert run.by_case("judge") == {"good": 1.0}
    assert run.by_case("contains") == {"good": 1.0, "lost": 1.0}
    gate = parse_suite(parse_yaml(SUITE, "a", {}, root=Path()), Path(), "a").file.gate
    assert breaches(run, gate) == ["unscored: 1, at most 0 are allowed (the judge is down)"]
    asks.clear()
    run = await judged(kept, asks, is_down=False)
    assert run.by_case("judge") == {"good": 1.0, "lost": 1.0}
    # What the judge said before is kept: only the case that it missed is judged.
    assert len(asks) == 2
    assert all("lost?" in ask.messages[1].text() for ask in asks)
