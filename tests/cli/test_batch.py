"""`headrace batch`: from a file to results, with no service running."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call

pytestmark = pytest.mark.model


@pytest.fixture
def source(folder: Path, weights_folder: Path) -> Path:
    home = folder / ".headrace"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    path = folder / "in.jsonl"
    rows = [
        {
            "custom_id": f"r{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": [{"role": "user", "content": f"Say {i}."}], "max_tokens": 4},
        }
        for i in range(6)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_file_is_answered_by_the_command_itself(call: Call, source: Path) -> None:
    out = source.with_name("out.jsonl")
    ran = call("batch", "run", str(source), "-o", str(out))
    assert ran.status == 0, ran.err
    assert "6 of 6 rows answered, 0 failed" in ran.out
    assert "6 requests, about" in ran.err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["custom_id"] for row in rows] == [f"r{i}" for i in range(6)]
    listed = json.loads(call("batch", "list", "--json").out)
    assert [each["status"] for each in listed] == ["completed"]
    again = source.with_name("again.jsonl")
    assert call("batch", "resume", listed[0]["id"], "-o", str(again)).status == 0
    assert again.read_bytes() == out.read_bytes()
    cancelled = call("batch", "cancel", listed[0]["id"])
    assert cancelled.status == 1
    assert "completed" in cancelled.err


def test_rows_that_fail_are_said_and_kept_apart(call: Call, source: Path) -> None:
    with source.open("a") as file:
        row = {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": {}}
        file.write(json.dumps(row) + "\n")
    ran = call("batch", "run", str(source), "-o", "out.jsonl", "--errors", "bad.jsonl")
    assert ran.status == 1
    assert "6 of 7 rows answered, 1 failed" in ran.out
    bad = [json.loads(line) for line in source.with_name("bad.jsonl").read_text().splitlines()]
    assert [(each["custom_id"], each["response"]["status_code"]) for each in bad] == [("x", 400)]


def test_a_file_that_is_no_batch_is_said(call: Call, source: Path) -> None:
    source.write_text("nonsense\n")
    ran = call("batch", "run", str(source), "-o", "out.jsonl")
    assert ran.status == 1
    assert "in.jsonl:1" in ran.err
