"""GGUF in and out: the same weights, tokens and answers as PyTorch's, with a model of random ones."""

import shutil
from pathlib import Path

import pytest

from headrace.models.store import ModelStore
from headrace.training.ask import Question, answers
from headrace.training.base import Base, find_base
from headrace.training.errors import TrainingInvalid
from headrace.training.folder import RESULT
from headrace.training.gguf_file import GgufFile
from headrace.training.job import FineTune, JobState
from headrace.training.port import compared, ported
from headrace.training.tongue import open_tongue
from headrace.training.trainer import Trainer
from headrace.types import Message
from tests.training.conftest import FACTS, MakeJob, Work, write_rows

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("default")]

QUESTION, FACT = FACTS[0]
ANSWER_TOKENS = 40
LEARNING = {"max_steps": 60, "learning_rate": 0.02, "schedule": "constant", "lora_rank": 32}


@pytest.fixture
def gguf(tiny_gguf: Path, root: Path, tmp_path: Path) -> Base:
    write_rows(root / "fact.jsonl", [(QUESTION, FACT)])
    store = ModelStore(tmp_path / "home" / "models", root=root)
    return find_base(f"file:{tiny_gguf}", store, root)


def result_file(trainer: Trainer, job_id: str, name: str) -> Path:
    return trainer.folder(job_id) / RESULT / name


async def said(weights: Path, adapter: Path | None = None) -> str:
    (answer,) = await answers(
        weights, adapter, [Question([Message("user", content=QUESTION)], ANSWER_TOKENS)]
    )
    return answer


async def test_folder_and_file_read_alike(tiny: Path, gguf: Base, tmp_path: Path) -> None:
    import torch

    from headrace.training.process.load import load_base, shape_of

    asked = [Message("user", content="the wheel 好 <|im_end|>"), Message("assistant", content="th")]
    ids = []
    folder = Base("", tiny, "")
    for base in (gguf, folder):
        async with open_tongue(base, tmp_path / "home", tmp_path) as tongue:
            answer = await tongue.answer(asked[:1], asked[1])
            ids.append([*await tongue.prompt(asked[:1], ()), *answer])
    assert ids[0] == ids[1]
    spec, device = FineTune(base="", training=""), torch.device("cpu")
    given = torch.tensor([ids[0]])
    with torch.no_grad():
        logits = [load_base(each, spec, device)(given).logits for each in (gguf, folder)]
    assert torch.equal(logits[0], logits[1])
    assert shape_of(gguf) == shape_of(folder)


async def test_llama_cpp_answers_as_pytorch_does_with_the_adapter(
    make_job: MakeJob, do: Work, trainer: Trainer, gguf: Base, tmp_path: Path
) -> None:
    job = make_job(base=gguf.reference, training="fact.jsonl", **LEARNING)
    state = await in_thread(do, job)
    assert state.result is not None, state.error
    folder = result_file(trainer, job.id, str(state.result.adapter))
    async with open_tongue(gguf, tmp_path / "home", tmp_path) as tongue:
        prompt = await tongue.prompt([Message("user", content=QUESTION)], ())
        wanted = "".join(await tongue.pieces(greedy(gguf, folder, prompt, tongue.end)))
    assert await said(gguf.path, folder / "adapter.gguf") == wanted
    assert await said(gguf.path) != wanted


def greedy(base: Base, adapter: Path, prompt: list[int], end: int) -> list[int]:
    """PyTorch's answer, token by token."""
    import torch
    from peft import PeftModel

    from headrace.training.process.load import load_base

    model = load_base(base, FineTune(base="", training=""), torch.device("cpu"))
    tuned = PeftModel.from_pretrained(model, adapter).eval()
    ids = list(prompt)
    with torch.no_grad():
        while len(ids) < len(prompt) + ANSWER_TOKENS:
            ids.append(int(tuned(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == end:
                break
    return [each for each in ids[len(prompt) :] if each != end]


async def test_a_fully_tuned_model_is_served_as_one_file(
    make_job: MakeJob, do: Work, trainer: Trainer, gguf: Base
) -> None:
    settings = {**LEARNING, "max_steps": 120, "learning_rate": 0.01, "schedule": "cosine"}
    job = make_job(base=gguf.reference, training="fact.jsonl", tuning="full", **settings)
    state = await in_thread(do, job)
    assert state.result is not None, state.error
    merged = result_file(trainer, job.id, str(state.result.merged))
    assert await said(merged) == FACT
    assert GgufFile.open(merged).fields == GgufFile.open(gguf.path).fields


async def test_a_recipe_goes_to_another_base_and_both_are_compared(
    make_job: MakeJob, do: Work, trainer: Trainer, gguf: Base, tmp_path: Path, root: Path
) -> None:
    other = shutil.copy(gguf.path, tmp_path / "other.gguf")
    write_rows(root / "held.jsonl", [("What's the project's codename?", FACT)])
    settings = {**LEARNING, "max_steps": 3, "training": "fact.jsonl", "validation": "held.jsonl"}
    before = make_job(base=gguf.reference, **settings)
    await in_thread(do, before)
    after = trainer.create(ported(before, f"file:{other}"))
    await in_thread(do, after)
    folders = [trainer.folder(each.id) for each in (before, after)]
    first, second = await compared(*folders)
    assert (first.examples, second.examples) == (1, 1)
    assert first.loss_per_token == second.loss_per_token  # it is the same model, after all
    assert first.loss_per_byte is not None
    assert first.exact == second.exact
    assert second.base == f"file:{other}"
    with pytest.raises(TrainingInvalid, match="base that it was trained on"):
        ported(before, gguf.reference)
    with pytest.raises(TrainingInvalid, match="holds nothing out"):
        ported(make_job(training="fact.jsonl"), "file:other")


async def in_thread(do: Work, job: object) -> JobState:
    """The worker has an event loop of its own."""
    import asyncio

    return await asyncio.to_thread(do, job)


def test_what_is_no_gguf_file_is_said_to_be_none(tmp_path: Path, gguf: Base) -> None:
    for name, content in (("a", b"nonsense"), ("b", gguf.path.read_bytes()[:2000]), ("c", b"")):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(content)
        with pytest.raises(TrainingInvalid, match="GGUF"):
            GgufFile.open(path)
