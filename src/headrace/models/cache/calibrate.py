"""Calibration with real models: embeddings by one, judgement by another if asked for."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from headrace.config.model import ServiceConfig
from headrace.errors import UnknownModel
from headrace.models.backend import Call
from headrace.models.box import ModelBox
from headrace.models.builder import builtin_models
from headrace.models.cache.calibration import (
    Calibration,
    calibrate,
    check_judge,
    check_traffic,
    near_pairs,
)
from headrace.models.cache.errors import TooLittleTraffic
from headrace.models.cache.traffic import Sample
from headrace.models.progress import Progress
from headrace.types import Message, Params

__all__ = ["Calibrator", "distinct"]

BATCH = 32
"""Texts in one call for embeddings."""
_ASKS = (
    "You check answers. Say whether the answer below is a correct and complete answer to the "
    "question. Reply with one word: yes or no.\n\nQuestion: {question}\n\nAnswer: {answer}"
)


class Calibrator:
    """Runs the models it needs by itself, beside the service if that runs."""

    def __init__(
        self,
        config: ServiceConfig,
        home: Path,
        environ: Mapping[str, str],
        *,
        model: str,
        judge: str | None,
    ) -> None:
        """
        Raises:
            UnknownModel: `judge` is not declared, or `model` is neither declared nor built in.
        """
        embedding = {**config.models, **builtin_models(config)}
        for name, known in ((model, embedding), (judge, config.models)):
            if name is not None and name not in known:
                raise UnknownModel.named(name, known)
        only = [name for name in (model, judge) if name is not None]
        self._box = ModelBox.build(config, home, environ, only=only)
        self._model = model
        self._judge = judge

    async def run(
        self, samples: Sequence[Sample], *, max_false: float, progress: Progress
    ) -> Calibration:
        """Measure every threshold.

        Args:
            samples: the oldest first.

        Raises:
            TooLittleTraffic, JudgeUnfit: as calibration.py says.
            HeadraceError: a model cannot be started, or does not answer.
        """
        if self._judge is None:
            samples = [each for each in samples if each.repeats]
        if len(samples) < 2:
            raise TooLittleTraffic(
                f"{len(samples)} turns can be compared",
                hint="it takes turns whose texts are kept (traces.content), outside conversations, "
                "and without --judge at temperature 0 or with a seed",
            )
        questions = distinct(samples)
        # Before anything is started: more cannot be near than there are.
        check_traffic(len(questions), len(questions) - 1, max_false)
        try:
            await self._box.start(progress)
            near = near_pairs(questions, await self._vectors(questions))
            if self._judge is not None:
                await check_judge(self._judged, questions)
            return await calibrate(
                questions,
                near,
                repeated=len(samples) - len(questions),
                max_false=max_false,
                judge=None if self._judge is None else self._judged,
            )
        finally:
            await self._box.stop()

    async def _vectors(self, samples: Sequence[Sample]) -> list[list[float]]:
        model = self._box.get(self._model)
        found: list[list[float]] = []
        for at in range(0, len(samples), BATCH):
            texts = [each.question for each in samples[at : at + BATCH]]
            made, _ = await model.embed(texts)
            found += made.vectors
        return found

    async def _judged(self, question: str, answer: str) -> bool:
        """Anything but a plain yes is a no."""
        target = self._box.get(self._judge)
        asks = Message(role="user", content=_ASKS.format(question=question, answer=answer))
        call = Call([asks], Params(temperature=0.0, max_tokens=8), stream=False)
        async with aclosing(target.ask(call).deltas(lambda _: call)) as deltas:
            said = "".join([delta.text async for delta in deltas])
        return said.strip().lower().startswith("yes")


def distinct(samples: Sequence[Sample]) -> list[Sample]:
    """Each question of a partition once, as it was asked first: the rest are exact hits."""
    found: dict[tuple[bytes, str], Sample] = {}
    for each in samples:
        found.setdefault((each.partition, each.question), each)
    return list(found.values())
