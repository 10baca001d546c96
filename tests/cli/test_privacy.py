"""From a consent to a dataset of traces, and what erasing a person takes with it."""

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from headrace.cli.workflow.operations.data_from_traces import (
    DataFromTraces,
    DataFromTracesSettings,
)
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database
from headrace.workflows.operation import Context
from tests.cli.conftest import Call, StoreTrace

WHO = "someone"
"""Whom the traces of `store_trace` are about."""


@pytest.fixture
def turns(store_trace: StoreTrace) -> None:
    for i in range(3):
        asked = f"Question {i}: mail ann.miller@example.org"
        store_trace(asked, f"Answer {i}.", started_at=time.time() - 60)


def test_without_consent_nothing_is_taken(call: Call, turns: None) -> None:
    made = call("data", "from-traces", "own")
    assert made.status == 0, made.err
    assert "3 turns looked at, 0 taken" in made.out
    assert "3 no consent" in made.out


def test_with_consent_turns_become_examples_and_a_withdrawal_ends_that(
    call: Call, turns: None
) -> None:
    given = json.loads(
        call("consent", "give", WHO, "--for", "training", "--evidence", "form", "--json").out
    )
    made = json.loads(call("data", "from-traces", "own", "--json").out)
    assert (made["taken"], made["added"], made["masked"]) == (3, 3, {"email": 3})
    rows = json.loads(call("data", "show", "own", "--json").out)
    assert {each["provenance"]["consent"] for each in rows} == {given["id"]}
    assert all("[EMAIL]" in each["messages"][0]["content"] for each in rows)
    assert "yes" in call("consent", "list", WHO).out
    assert (
        "1 consents for training have ended"
        in call("consent", "withdraw", WHO, "--for", "training").out
    )
    again = json.loads(call("data", "from-traces", "own", "--json").out)
    assert (again["taken"], again["left_out"]) == (0, {"no consent": 3})
    assert call("data", "from-traces", "own", "--since", "1s").status == 0


def test_people_of_a_rare_language_are_left_out(
    call: Call, folder: Path, store_trace: StoreTrace
) -> None:
    for at in range(9):
        person, language = f"p{at % 4}", "is" if at == 8 else "en"
        call("consent", "give", person, "--for", "training")
        asked = f"Question {at}: mail ann.miller@example.org"
        store_trace(asked, "Yes.", started_at=time.time() - 60, person=person, language=language)
    made = call("data", "from-traces", "own", "--k", "3", "--suppress", "0.2")
    assert made.status == 0, made.err
    assert "9 turns looked at, 9 taken, 8 new" in made.out
    assert "k = 4: whatever is known of somebody's language, release" in made.out
    assert "language as it is; release as it is" in made.out
    rows = json.loads(call("data", "show", "own", "-n", "20", "--json").out)
    assert {each["metadata"]["language"] for each in rows} == {"en"}
    assert all(each["provenance"]["consent"] for each in rows)
    assert "[EMAIL]" in rows[0]["messages"][0]["content"]
    report = json.loads(call("data", "guarantee", "own", "--json").out)["anonymity"]
    assert (report["k_reached"], report["people"], report["suppressed"]) == (4, 4, 1)
    refused = call("data", "from-traces", "own", "--k", "5")
    assert refused.status == 1
    assert "k = 5 cannot be reached: the rows are of 4 people" in refused.err
    database = Database.open(folder / ".headrace" / DATABASE_FILE)
    step = Context(
        root=folder, home=folder / ".headrace", environ={}, run_id="r", workflow="w", step="data",
        attempt=1, folder=folder, database=lambda: database,
    )  # fmt: skip
    with closing(database):
        settings = DataFromTracesSettings(name="workflow", k=3, suppress=0.2)
        assert DataFromTraces().run(settings, step)["rows"] == 8


def test_erasing_a_person_takes_their_rows_out_of_every_version(
    call: Call, turns: None, folder: Path
) -> None:
    call("consent", "give", WHO, "--for", "training")
    call("data", "from-traces", "own")
    shown = call("subject", "show", WHO)
    assert "3 traces" in shown.out
    assert "3 rows of own@1" in shown.out
    refused = call("subject", "erase", WHO)
    assert refused.status != 0
    assert "3 traces" in call("subject", "show", WHO).out
    erased = call("subject", "erase", WHO, "--yes")
    assert erased.status == 0, erased.err
    assert "must be trained anew" in erased.out
    assert json.loads(call("data", "show", "own", "--json").out) == []
    told = json.loads(call("subject", "show", WHO, "--json").out)
    assert (told["has_key"], told["traces"]) == (False, 3)
    assert call("trace", "show", "last", "--content").status == 0
    assert "ann.miller" not in call("trace", "show", "last", "--content").out


def test_a_purpose_that_there_is_not(call: Call, turns: None) -> None:
    assert call("consent", "give", WHO, "--for", "selling").status == 2
