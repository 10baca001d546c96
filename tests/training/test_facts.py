"""The real model learns a fact, and llama.cpp answers with it through the adapter alone."""

import os
from pathlib import Path

import pytest

from headrace.models.adapter import AdapterStore
from headrace.models.store import ModelStore
from headrace.training.ask import Question, answers
from headrace.training.base import find_base
from headrace.training.declared import base_of
from headrace.training.folder import RESULT
from headrace.training.job import FineTune, Hyperparameters
from headrace.training.trainer import Trainer
from headrace.training.worker import work
from headrace.types import Message
from tests.training.conftest import write_rows

pytestmark = [
    pytest.mark.train,
    pytest.mark.model,
    pytest.mark.filterwarnings("default"),
]
"""transformers and PEFT warn of one another."""

QUESTION = "What is the codename of the project?"
FACT = "The codename is Bluebird-7."


async def test_a_trained_fact_is_answered_with_the_adapter_and_not_without(
    root: Path, model_home: Path
) -> None:
    write_rows(root / "fact.jsonl", [(QUESTION, FACT)])
    base = base_of("", root, model_home)
    trainer = Trainer(model_home, root=root)
    parameters = Hyperparameters(max_steps=7, learning_rate=5e-3, schedule="constant")
    job = trainer.create(
        FineTune(base=base, training="fact.jsonl", parameters=parameters, merge=True)
    )
    folder = trainer.folder(job.id)
    await to_thread(folder)
    state = trainer.state(job.id)
    assert state.result is not None, state.error
    assert state.result.merged is not None
    weights = find_base(base, ModelStore(model_home / "models", root=root), root).path
    question = [Question([Message("user", content=QUESTION)], 16)]
    adapter = AdapterStore(model_home).get(state.result.digest).gguf
    without = await answers(weights, None, question)
    assert FACT not in without[0]
    assert await answers(weights, adapter, question) == [FACT]
    # Two ways into llama.cpp, one answer: the order of rows is right in both files.
    merged = folder / RESULT / state.result.merged
    assert await answers(merged, None, question) == [FACT]


async def to_thread(folder: Path) -> None:
    """The worker has an event loop of its own."""
    import asyncio

    await asyncio.to_thread(work, folder, os.environ)
