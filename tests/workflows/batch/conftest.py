"""A home with a key, files and batches, and somebody who answers as the test says."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from headrace.access.keys import KeyStore
from headrace.access.principal import Principal
from headrace.datasets.upload import FileStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.workflows.batch.job import Batch
from headrace.workflows.batch.runner import BatchRunner, Reply
from headrace.workflows.batch.store import BatchStore

ENDPOINT = "/v1/chat/completions"


def line(number: int, **changes: object) -> bytes:
    row = {
        "custom_id": f"row-{number}",
        "method": "POST",
        "url": ENDPOINT,
        "body": {"messages": [{"role": "user", "content": f"Question {number}"}]},
    }
    return msgspec.json.encode({**row, **changes}) + b"\n"


@dataclass
class Bench:
    """See the module."""

    database: Database
    files: FileStore
    store: BatchStore
    keys: KeyStore
    home: Path
    key_id: str
    now: float = 1_000.0
    asked: list[str] = field(default_factory=list)

    def make(self, data: bytes, **changes: str) -> Batch:
        writer = self.files.new("in.jsonl", "batch", self.key_id)
        writer.write(data)
        fields = {"endpoint": ENDPOINT, "input_file_id": writer.close().id, **changes}
        return self.store.create(key_id=self.key_id, **fields)  # type: ignore[arg-type]

    def runner(
        self, answer: Callable[[str], Awaitable[Reply]] | None = None, *, at_once: int = 4
    ) -> BatchRunner:
        async def asks(principal: Principal, path: str, body: bytes) -> Reply:
            assert path == ENDPOINT
            assert principal.key_id == self.key_id
            said = msgspec.json.decode(body)["messages"][0]["content"]
            self.asked.append(said)
            return await (answer or replies)(said)

        return BatchRunner(self.store, self.files, self.keys, self.home, asks, at_once=at_once)

    def output(self, file_id: str | None) -> list[dict[str, object]]:
        assert file_id is not None
        kept = self.files.get(file_id, self.key_id)
        return [msgspec.json.decode(each) for each in self.files.lines(kept)]


async def replies(said: str) -> Reply:
    # Not all at once, nor in order.
    await asyncio.sleep(0.001 * (hash(said) % 3))
    body = msgspec.json.encode(
        {"said": said, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    )
    return Reply(status=200, body=body, request_id="r")


def failing(status: int, retry_after_s: float | None = None) -> Reply:
    body = msgspec.json.encode({"error": {"message": "no", "code": "no"}})
    return Reply(status=status, body=body, request_id="r", retry_after_s=retry_after_s)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    database = Database.open(tmp_path / "state.db")
    vault = Vault.open(database, tmp_path)
    keys = KeyStore.open(database)
    _, key = keys.create("batches", "user")
    made = Bench(
        database,
        FileStore(database, vault, tmp_path),
        BatchStore(database),
        keys,
        tmp_path,
        key.id,
    )
    made.store.clock = lambda: made.now
    yield made
    database.close()
