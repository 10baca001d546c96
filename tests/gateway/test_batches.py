"""Files and batches by the unmodified OpenAI SDK, and what a kill in the middle does not lose."""

import io
import json
import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest

from tests.gateway.conftest import REPOSITORY, SERVICE
from tests.running import ServiceProcess, wait_for


def client_of(service: ServiceProcess, key: str = "") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key=key or service.key, max_retries=0)


@pytest.fixture
def client(scripted: ServiceProcess) -> openai.OpenAI:
    return client_of(scripted)


def requests(count: int, say: str = "Hello {i}") -> bytes:
    rows = [
        {
            "custom_id": f"row-{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "scripted",
                "messages": [{"role": "user", "content": say.format(i=i)}],
            },
        }
        for i in range(count)
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_a_file_is_uploaded_listed_read_and_deleted(client: openai.OpenAI) -> None:
    data = requests(3) + "你好".encode()
    made = client.files.create(file=("行.jsonl", io.BytesIO(data)), purpose="batch")
    assert (made.bytes, made.purpose, made.filename) == (len(data), "batch", "行.jsonl")
    assert client.files.retrieve(made.id).id == made.id
    assert client.files.content(made.id).read() == data
    assert made.id in [each.id for each in client.files.list(purpose="batch", limit=2)]
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_a_large_file_streams_through(client: openai.OpenAI) -> None:
    data = os.urandom(1 << 20) * 20
    made = client.files.create(file=("large.bin", io.BytesIO(data)), purpose="user_data")
    assert client.files.content(made.id).read() == data
    client.files.delete(made.id)


@pytest.mark.parametrize(
    ("files", "data", "param"),
    [
        ({"file": ("a", b"x")}, {}, "purpose"),
        ({"file": ("a", b"x")}, {"purpose": "nonsense"}, "purpose"),
        ({"other": ("a", b"x")}, {"purpose": "batch"}, "file"),
        ({"file": ("a", b"x")}, {"purpose": "batch" * 2000}, "purpose"),
    ],
)
def test_a_wrong_form_says_what_is_wrong(
    scripted: ServiceProcess,
    files: dict[str, tuple[str, bytes]],
    data: dict[str, str],
    param: str,
) -> None:
    with scripted.client() as http:
        reply = http.post("/v1/files", files=files, data=data)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
        broken = http.post(
            "/v1/files",
            content=b"--x\r\nno header",
            headers={"content-type": "multipart/form-data; boundary=x"},
        )
        assert broken.status_code == 400
        assert http.post("/v1/files", json={}).status_code == 400


def test_another_key_sees_neither_files_nor_batches(
    scripted: ServiceProcess, client: openai.OpenAI
) -> None:
    made = client.files.create(file=("a", requests(1)), purpose="batch")
    other = client_of(scripted, scripted.run("keys", "create", "other").stdout.strip())
    wait_for(lambda: _is_known(other))
    for call in (other.files.retrieve, other.files.content, other.files.delete):
        with pytest.raises(openai.NotFoundError):
            call(made.id)
    assert made.id not in [each.id for each in other.files.list()]
    with pytest.raises(openai.NotFoundError):
        other.batches.create(
            input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    with pytest.raises(openai.AuthenticationError):
        client_of(scripted, "hr-wrong").files.list()


def _is_known(client: openai.OpenAI) -> bool:
    try:
        client.models.list()
    except openai.AuthenticationError:
        return False
    return True


def test_a_batch_from_file_to_results(client: openai.OpenAI) -> None:
    made = client.files.create(file=("in.jsonl", requests(40)), purpose="batch")
    batch = client.batches.create(
        input_file_id=made.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"night": "1"},
    )
    assert batch.status == "validating"
    wait_for(lambda: client.batches.retrieve(batch.id).status == "completed")
    ended = client.batches.retrieve(batch.id)
    assert ended.request_counts is not None
    assert (ended.request_counts.total, ended.request_counts.completed) == (40, 40)
    assert ended.metadata == {"night": "1"}
    assert ended.output_file_id is not None
    rows = [json.loads(line) for line in client.files.content(ended.output_file_id).iter_lines()]
    assert [row["custom_id"] for row in rows] == [f"row-{i}" for i in range(40)]
    assert all(row["response"]["status_code"] == 200 for row in rows)
    assert all(row["response"]["body"]["choices"][0]["message"]["content"] for row in rows)
    assert batch.id in [each.id for each in client.batches.list(limit=5)]


def test_a_wrong_batch_says_which_line(client: openai.OpenAI) -> None:
    made = client.files.create(file=("in.jsonl", requests(2) + b"{}\n"), purpose="batch")
    batch = client.batches.create(
        input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    wait_for(lambda: client.batches.retrieve(batch.id).status == "failed")
    errors = client.batches.retrieve(batch.id).errors
    assert errors is not None
    assert errors.data is not None
    assert errors.data[0].line == 3
    with pytest.raises(openai.BadRequestError):
        client.batches.cancel(batch.id)
    with pytest.raises(openai.BadRequestError, match="endpoint"):
        client.batches.create(
            input_file_id=made.id,
            endpoint="/v1/nothing",  # type: ignore[arg-type]
            completion_window="24h",
        )


def test_a_service_that_is_killed_goes_on_with_its_batch(tmp_path: Path) -> None:
    site = tmp_path / "site" / "scripted_answers-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-answers\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text(
        "[headrace.backends]\nscripted = tests.gateway.scripted:ScriptedBackend\n"
    )
    (tmp_path / "headrace.yaml").write_text(SERVICE)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    path = os.pathsep.join((str(site.parent), str(REPOSITORY)))
    count = 1500
    running = ServiceProcess.start(tmp_path, home, environ={"PYTHONPATH": path})
    client = client_of(running)
    made = client.files.create(file=("in.jsonl", requests(count)), purpose="batch")
    batch = client.batches.create(
        input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
    )

    def done(client: openai.OpenAI) -> int:
        counts = client.batches.retrieve(batch.id).request_counts
        return 0 if counts is None else counts.completed

    for upto in (100, 500):
        wait_for(lambda upto=upto, client=client: done(client) >= upto)  # type: ignore[misc]
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        running = ServiceProcess.start(tmp_path, home, environ={"PYTHONPATH": path})
        client = client_of(running)
    try:
        wait_for(lambda: client.batches.retrieve(batch.id).status == "completed")
        output = client.batches.retrieve(batch.id).output_file_id
        assert output is not None
        rows = [json.loads(line) for line in client.files.content(output).iter_lines()]
        assert [row["custom_id"] for row in rows] == [f"row-{i}" for i in range(count)]
    finally:
        running.stop()


def test_an_upload_that_breaks_off_leaves_nothing(scripted: ServiceProcess) -> None:
    parts = urlsplit(scripted.url)
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: 100000\r\n"
        f"authorization: Bearer {scripted.key}\r\n"
        "content-type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'
    )
    folder = scripted.home / "files"
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode())
        wait_for(lambda: list(folder.glob("*.part")))
    wait_for(lambda: not list(folder.glob("*.part")))
