"""The pages of fine-tuning jobs, without a browser: whose they are, and what the chart is given."""

from collections.abc import Iterator

import pytest

from headrace.storage.database import Database
from headrace.training.folder import EventLog
from headrace.training.trainer import FOLDER
from headrace.workflows.tuning.job import Said, TuningError, TuningJob
from headrace.workflows.tuning.store import TuningStore
from tests.console.test_markup import Document
from tests.console.visitor import Visitor, make_key
from tests.running import ServiceProcess

JOB = "ftjob-01a21225-dc6c-7594-bb6d-bac2ea7a8e2e"


@pytest.fixture
def admin(prompt_service: ServiceProcess) -> Iterator[Visitor]:
    visitor = Visitor.of(prompt_service, address="127.0.0.1")
    visitor.sign_in(prompt_service.key)
    yield visitor
    visitor.client.close()


def kept(service: ServiceProcess, key_id: str) -> TuningJob:
    """A job that has failed after two steps, as the service's own would be."""
    folder = service.home / FOLDER / "made-for-the-page"
    folder.mkdir(parents=True)
    log = EventLog(folder)
    log.add("metrics", "step 1", {"step": 1, "train_loss": 2.5})
    log.add("metrics", "step 2", {"step": 2, "train_loss": 1.25, "valid_loss": 1.5})
    log.close()
    database = Database.open(service.home / "state.db")
    try:
        return TuningStore(database).add(
            TuningJob(
                id=JOB,
                key_id=key_id,
                model="assistant",
                base="file:x.gguf",
                training_file="file-1",
                hyperparameters={"n_epochs": "auto"},
                seed=7,
                suffix="facts",
                organization="acme",
                created_at=1.0,
                status="failed",
                error=TuningError(code="training_failed", message="no <b>space</b> left"),
                training=folder.name,
                said=[Said(at=2.0, message="Created 你好")],
            )
        )
    finally:
        database.close()


@pytest.mark.service
@pytest.mark.model
def test_a_job_and_its_losses_are_shown_to_whose_it_is(
    admin: Visitor, prompt_service: ServiceProcess
) -> None:
    owner_id, secret = make_key(prompt_service, "trainer")
    kept(prompt_service, owner_id)
    owner = Visitor.of(prompt_service, address="127.0.0.1")
    owner.sign_in(secret)
    for visitor in (admin, owner):
        listed = visitor.get("/fine-tuning")
        Document(listed.text)
        assert JOB in listed.text
        page = visitor.get(f"/fine-tuning/{JOB}")
        Document(page.text)
        assert "no &lt;b&gt;space&lt;/b&gt; left" in page.text
        assert "Created 你好" in page.text
        assert visitor.get(f"/fine-tuning/{JOB}/losses").json() == {
            "status": "failed",
            "ended": True,
            "steps": [1, 2],
            "train": [2.5, 1.25],
            "valid": [None, 1.5],
        }
    assert "训练损失" in admin.get(f"/fine-tuning/{JOB}", accept_language="zh").text
    assert admin.post(f"/fine-tuning/{JOB}", {"do": "cancel"}).status_code == 400
    _, other_secret = make_key(prompt_service, "stranger")
    other = Visitor.of(prompt_service, address="127.0.0.1")
    other.sign_in(other_secret)
    assert JOB not in other.get("/fine-tuning").text
    assert other.get(f"/fine-tuning/{JOB}").status_code == 404
    assert other.get(f"/fine-tuning/{JOB}/losses").status_code == 404
    for visitor in (owner, other):
        visitor.client.close()
