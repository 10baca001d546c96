"""Detectors that take long: when they look, what waits for them, and what happens when they fail."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import ModelUnavailable
from headrace.models.backend import Call
from headrace.screening import assembly
from headrace.screening.assembly import CostlyUse
from headrace.screening.finding import Span, Tools
from headrace.types import Message
from tests.pipeline.steps.screening import Service, policy_of

POLICY = "both: {harm: block, email: mask}\nmessages: {en: 'No.'}\n"


class Judging:
    """Finds `harm` where its word is; does before what the test says."""

    name = "judging"
    kinds = ("harm",)

    def __init__(self, meanwhile: Callable[[], object] | None = None, score: float = 1.0) -> None:
        self.seen: list[str] = []
        self._meanwhile = meanwhile
        self._score = score

    async def judge(self, text: str, tools: Tools) -> Sequence[Span]:
        self.seen.append(text)
        if self._meanwhile is not None:
            waiting = self._meanwhile()
            if asyncio.iscoroutine(waiting):
                await waiting
        return [Span("harm", m.start(), m.end(), self._score) for m in re.finditer("harm", text)]


@pytest.fixture(autouse=True)
def harm_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind, as if a package had brought it: `policy_of` brings the detector itself."""
    known = {"judging": (Judging(), "tests 1"), "endless": (Endless(), "tests 1")}
    monkeypatch.setattr(assembly, "costly_detectors", lambda: known)


def policy(folder: Path, text: str, *detectors: Judging, in_doubt: bool = False) -> Service:
    made = policy_of(folder, text + "\ndetectors: {judging: on}")
    made = replace(made, costly=())
    return Service(
        replace(made, costly=tuple(CostlyUse(each, in_doubt=in_doubt) for each in detectors))
    )


async def test_what_only_a_costly_detector_finds_is_stopped(tmp_path: Path) -> None:
    service = policy(tmp_path, POLICY, Judging())
    assert (await service.refused("Do harm")).message == "No."
    assert service.noted == [("harm", "block")]
    assert service.trace.findings[0]["detector"] == "judging"
    assert await service.say("Do good") == "Fine."


async def test_the_model_begins_meanwhile_and_its_first_piece_waits(tmp_path: Path) -> None:
    begun = asyncio.Event()
    detector = Judging(begun.wait)  # would run into the budget if the model waited for it
    service = policy(tmp_path, POLICY + "budget_ms: 60000", detector)

    def answer(call: Call) -> list[str]:
        begun.set()
        return ["Sure, here is"]

    service.backend.say(answer)
    assert (await service.refused("Do harm")).message == "No."
    assert len(service.backend.asked) == 1
    assert service.trace.output == "[]"
    begun.clear()
    assert await service.say("Do good") == "Sure, here is"


async def test_without_overlap_the_model_is_not_asked(tmp_path: Path) -> None:
    service = policy(tmp_path, POLICY + "overlap: false", Judging())
    await service.refused("Do harm")
    assert service.backend.asked == []


async def test_what_a_costly_detector_masks_the_model_never_gets(tmp_path: Path) -> None:
    service = policy(tmp_path, POLICY.replace("block", "mask"), Judging())
    service.backend.say(lambda call: [call.messages[-1].text()])
    assert await service.say("Do harm to kim@example.org") == "Do harm to kim@example.org"
    assert service.backend.asked[-1][-1].text() == "Do <HARM_1> to <EMAIL_1>"


async def test_costly_detectors_read_masks_and_what_is_new(tmp_path: Path) -> None:
    detector = Judging()
    service = policy(tmp_path, POLICY.replace("both", "input"), detector)
    said = [
        Message(role="user", content="harm, long ago"),
        Message(role="assistant", content="Yes."),
        Message(role="user", content="I am kim@example.org"),
    ]
    assert await service.say(said) == "Fine."
    assert detector.seen == ["I am <EMAIL_1>"]


async def never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("mode", ["open", "closed"])
async def test_who_hangs_is_cut_off_and_the_declared_mode_decides(
    tmp_path: Path, mode: str
) -> None:
    text = POLICY + f"budget_ms: 20\non_timeout: {mode}"
    service = policy(tmp_path, text.replace("both", "input"), Judging(never))
    if mode == "open":
        assert await service.say("Hello") == "Fine."
    else:
        assert (await service.refused("Hello")).message == "No."
    action = {"open": "flag", "closed": "block"}[mode]
    assert service.noted == [("fault.timeout", action)]


def failing(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


@pytest.mark.parametrize("mode", ["open", "closed"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("kim@example.org"), "raised"), (ModelUnavailable("down"), "unavailable")],
)
async def test_who_fails_is_noted_and_the_declared_mode_decides(
    tmp_path: Path, mode: str, error: Exception, kind: str
) -> None:
    text = POLICY + f"on_error: {mode}"
    service = policy(tmp_path, text, Judging(failing(error)))
    service.backend.say(lambda _: ["Hi"])
    if mode == "open":
        assert await service.say("Hello") == "Hi"
        expected = [(f"fault.{kind}", "flag", type(error).__name__)] * 2
    else:
        assert (await service.refused("Hello")).message == "No."
        expected = [(f"fault.{kind}", "block", type(error).__name__)]
    assert service.noted == expected


async def test_an_answer_is_kept_back_until_costly_detectors_have_looked(tmp_path: Path) -> None:
    service = policy(tmp_path, POLICY, Judging())
    service.backend.say(lambda _: ["This does ", "ha", "rm."])
    assert await service.say("Hello") == "No."
    assert service.trace.status == "blocked"


async def test_one_that_only_flags_keeps_nothing_back(tmp_path: Path) -> None:
    service = policy(tmp_path, POLICY.replace("block", "flag"), Judging())
    service.backend.say(lambda _: ["This does ", "harm."])
    assert await service.say("Hello") == "This does harm."
    assert service.noted == [("harm", "flag")]


async def test_in_doubt_means_when_a_quick_one_doubts(tmp_path: Path) -> None:
    detector = Judging()
    text = POLICY.replace("block", "{action: block, threshold: 0.6}")
    service = policy(tmp_path, text, detector, in_doubt=True)
    quick = _Quick()
    step = service.pipeline.steps[0]
    made = step._policy  # type: ignore[attr-defined]
    service = Service(replace(made, quick=(*made.quick, quick)))
    await service.say("nothing at all")
    assert detector.seen == []
    await service.say("perhaps")
    assert detector.seen[:1] == ["perhaps"]


class _Quick:
    """A quick detector that is not sure."""

    name = "quick"
    kinds = ("harm",)
    window = 8

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        for match in re.finditer("perhaps", text[start:]):
            yield Span("harm", start + match.start(), start + match.end(), 0.5)

    def pending(self, text: str, start: int) -> int:
        return max(start, len(text) - 7)


class Endless:
    """Computes for ever at one word: a pattern that runs wild."""

    name = "endless"
    kinds = ("harm",)
    window = None

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        if "forever" in text:
            re.fullmatch(r"(a|aa)+b", "a" * 200)
        if "raise" in text:
            raise ValueError(text)
        for match in re.finditer("harm", text):
            yield Span("harm", match.start(), match.end())


@pytest.fixture
def endless_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the process that runs it."""
    package = tmp_path / "site" / "endless-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: endless\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        f"[headrace.costly_detectors]\nendless = {__name__}:Endless\n"
    )
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{package.parent}:{root}")


@pytest.mark.usefixtures("endless_is_installed")
async def test_one_that_computes_runs_apart_and_can_be_ended(tmp_path: Path) -> None:
    text = POLICY.replace("both", "input") + "budget_ms: 60000"
    service = policy(tmp_path, text, Endless())  # type: ignore[arg-type]  # has `detect` instead
    assert (await service.refused("Do harm")).message == "No."
    assert await service.say("Do good") == "Fine."
    assert await service.refused("please raise")
    assert service.noted == [("fault.raised", "block", "ValueError")]
    hasty = policy(tmp_path, text.replace("60000", "300"), Endless())  # type: ignore[arg-type]
    hasty.kit.workers = service.kit.workers
    worker = service.kit.workers["endless"]
    assert await hasty.refused("forever")
    assert hasty.noted == [("fault.timeout", "block")]
    assert worker._process is not None
    assert await asyncio.to_thread(worker._process.wait, 10) != 0
    assert await service.say("Do good") == "Fine."
