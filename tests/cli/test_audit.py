"""`headrace audit`: what each command that changes something leaves there."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from headrace.releases.build import collect, manifest_of
from headrace.releases.store import ReleaseStore
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database
from headrace.storage.tables import audit_log

if TYPE_CHECKING:
    from tests.cli.conftest import Call

SERVICE = """\
models:
  small:
    deployments: [{backend: embedded, weights: 'file:x.gguf'}]
pipeline: [generate]
"""


@pytest.fixture
def release(folder: Path) -> str:
    """The digest of a release of the folder's files."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "hello.yaml").write_text("messages: {system: Say hello.}\n")
    (folder / "headrace.yaml").write_text(SERVICE)
    home = folder / ".headrace"
    home.mkdir(mode=0o700)
    files, outside = collect(folder)
    made = manifest_of(
        files, outside, service="mill", behaviour="sha256:1", models={}, knowledge=None
    )
    database = Database.open(home / DATABASE_FILE)
    digest = ReleaseStore(database, home).add(made, files)[0].digest
    database.close()
    return digest


def test_every_change_is_in_the_log_with_who_and_why(
    call: "Call", folder: Path, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    key = json.loads(call("keys", "create", "ci", "--why", "builds", "--json").out)["id"]
    calls = [
        ("keys", "revoke", key, "--why", "it leaked"),
        ("prompts", "tag", "hello", "current", "live", "--why", "shorter"),
        ("prompts", "tag", "hello", "live", "live", "--remove"),
        ("deploy", "r1", "--why", "better"),
        ("rollback", "--why", "worse"),
        ("deploy", "r1", "--canary", "5,100"),
        ("rollback",),
        ("subject", "erase", "Kim Example", "--yes", "--why", "asked for"),
    ]
    for each in calls:
        result = call(*each)
        assert result.status == 0, (each, result.err)
    entries = json.loads(call("audit", "list", "--json").out)[::-1]
    assert {each["who"] for each in entries} == {"ann"}
    assert [(each["action"], each["why"]) for each in entries] == [
        ("key.create", "builds"),
        ("key.revoke", "it leaked"),
        ("prompt.tag", "shorter"),
        ("prompt.untag", ""),
        ("release.serve", "better"),
        ("release.rollback", "worse"),
        ("release.trial", ""),
        ("release.trial_end", "the trial of r1 was ended"),
        ("subject.erase", "asked for"),
    ]
    serve, back, trial = entries[4:7]
    assert (serve["target"], serve["evidence"]["before"], serve["evidence"]["name"]) == (
        release, "", "r1",
    )  # fmt: skip
    assert (back["target"], back["evidence"]["before"]) == ("files", release)
    assert trial["evidence"]["shares"] == [0.05, 1.0]
    assert "Kim" not in json.dumps(entries)
    assert "changes: 9, all as they were written" in call("audit", "verify").out
    shown = call("audit", "list", "--action", "release", "--limit", "1")
    assert "release.trial_end" in shown.out

    database = Database.open(folder / ".headrace" / DATABASE_FILE)
    with database.write() as connection:
        connection.execute(delete(audit_log).where(audit_log.c.number > 7))
    database.close()
    cut = call("audit", "verify")
    assert (cut.status, cut.err) == (1, "entry 8 was changed, or is missing\n")
    assert json.loads(call("audit", "verify", "--json").out)["wrong"] == 8


def test_without_the_master_key_nothing_is_deployed(
    call: "Call", folder: Path, release: str
) -> None:
    call("keys", "create", "ci")
    (folder / ".headrace" / "master.key").unlink()
    refused = call("deploy", "r1")
    assert (refused.status, "master.key" in refused.err) == (1, True)
    assert not (folder / ".headrace" / "serving.json").exists()
    assert len(json.loads(call("audit", "list", "--json").out)) == 1
