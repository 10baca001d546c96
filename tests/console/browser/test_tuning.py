"""The chart of a fine-tuning job in a real browser: drawn, and drawn on as steps come."""

import pytest
from playwright.sync_api import expect

from headrace.storage.database import Database
from headrace.training.folder import EventLog
from headrace.training.trainer import FOLDER
from headrace.workflows.tuning.job import TuningJob
from headrace.workflows.tuning.store import TuningStore
from tests.console.browser.reader import Reader
from tests.running import ServiceProcess

pytestmark = pytest.mark.browser


def test_losses_are_drawn_while_they_come(reader: Reader, scripted: ServiceProcess) -> None:
    folder = scripted.home / FOLDER / "drawn"
    folder.mkdir(parents=True)
    log = EventLog(folder)
    log.add("metrics", "step 1", {"step": 1, "train_loss": 2.5})
    job = TuningJob(
        id="ftjob-drawn",
        key_id="somebody",
        model="assistant",
        base="file:x.gguf",
        training_file="file-1",
        seed=1,
        organization="acme",
        created_at=1.0,
        status="paused",
        training=folder.name,
    )
    database = Database.open(scripted.home / "state.db")
    try:
        TuningStore(database).add(job)
    finally:
        database.close()
    page = reader.open(f"/fine-tuning/{job.id}")
    expect(page.locator(".losses canvas")).to_be_visible()
    expect(page.locator("#latest")).to_contain_text("Step 1 · Training loss 2.50")
    log.add("metrics", "step 2", {"step": 2, "train_loss": 0.125, "valid_loss": 0.5})
    log.close()
    page.reload()
    expect(page.locator("#latest")).to_contain_text("Step 2 · Training loss 0.125")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1 .badge")).to_have_text("cancelled")
