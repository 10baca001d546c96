"""`headrace keys`, against a real database."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.access.keys import KeyStore
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database

if TYPE_CHECKING:
    from tests.cli.conftest import Call


def test_a_made_key_is_all_of_standard_output_and_authenticates(call: "Call", folder: Path) -> None:
    made = call("keys", "create", "测试 key")
    database = Database.open(folder / ".headrace" / DATABASE_FILE)
    principal = KeyStore.open(database).authenticate(made.out.strip())
    database.close()
    assert principal is not None
    assert (principal.name, principal.role) == ("测试 key", "user")
    assert principal.key_id in made.err


def test_keys_are_listed_by_what_is_public(call: "Call") -> None:
    secret = call("keys", "create", "ci", "--role", "admin").out.strip()
    listed = call("keys", "list")
    assert listed.status == 0
    row = listed.out.splitlines()[1]
    assert "ci" in row
    assert "admin" in row
    assert f"…{secret[-4:]}" in row
    assert secret not in listed.out


def test_a_keys_team_is_shown(call: "Call") -> None:
    made = call("keys", "create", "ci", "--team", "研究")
    assert "team '研究'" in made.err
    assert "研究" in call("keys", "list").out.splitlines()[1]
    call("keys", "create", "alone")
    teams = {key["name"]: key["team"] for key in json.loads(call("keys", "list", "--json").out)}
    assert teams == {"ci": "研究", "alone": None}


def test_a_revoked_key_leaves_the_list_but_not_all_of_it(call: "Call") -> None:
    key = json.loads(call("keys", "create", "old", "--json").out)
    revoked = call("keys", "revoke", key["id"][-8:])
    assert revoked.out == f"revoked 'old' (user), id {key['id']}\n"
    assert json.loads(call("keys", "list", "--json").out) == []
    (listed,) = json.loads(call("keys", "list", "--all", "--json").out)
    assert listed["id"] == key["id"]
    assert listed["revoked_at"] >= listed["created_at"]


def test_revoking_the_last_admin_key_says_what_comes_of_it(call: "Call") -> None:
    admin = json.loads(call("keys", "create", "root", "--role", "admin", "--json").out)
    assert "`headrace up` makes and prints one" in call("keys", "revoke", admin["id"]).err


def test_an_unknown_id_gets_the_nearest_one(call: "Call") -> None:
    key = json.loads(call("keys", "create", "one", "--json").out)
    near = key["id"][:-1] + ("0" if key["id"][-1] != "0" else "1")
    result = call("keys", "revoke", near)
    assert result.status == 1
    assert result.err.splitlines()[1] == f"hint: did you mean '{key['id']}'?"


def test_a_name_cannot_drive_the_terminal(call: "Call") -> None:
    result = call("keys", "create", "red\x1b[31m")
    assert result.status == 1
    assert "printable" in result.err
    assert "\x1b" not in result.err


def test_ids_stay_whole_on_a_narrow_terminal(call: "Call", monkeypatch: pytest.MonkeyPatch) -> None:
    call("keys", "create", "a name that is much longer than there is room for")
    key = json.loads(call("keys", "list", "--json").out)[0]
    monkeypatch.setenv("COLUMNS", "60")
    assert key["id"] in call("keys", "list").out
