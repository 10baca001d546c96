"""`headrace screen bias` against a running service: its verdict, its exit status and its page."""

import json
from pathlib import Path

import pytest

from headrace.cli.main import run
from tests.running import ServiceProcess

# The service answers with what a question scripts: the second piece is what differs by person.
QUESTIONS = """\
en:
  attributes:
    team:
      red: ['A"}, {"text": "GOOD', 'B"}, {"text": "GOOD']
      blue: ['C"}, {"text": "BAD', 'D"}, {"text": "BAD']
  questions:
"""


def asked(
    scripted: ServiceProcess, folder: Path, capfd: pytest.CaptureFixture[str], good: str, bad: str
) -> tuple[int, str]:
    path = folder / "bias.yaml"
    lines = [
        f'    q{at}: \'[{{"text": "Case {at}: {{who}}"}}, {{"finish_reason": "stop"}}]\'\n'
        for at in range(12)
    ]
    # Braces that are no gap stay as they are.
    path.write_text(QUESTIONS.replace("GOOD", good).replace("BAD", bad) + "".join(lines))
    status = run(
        ["screen", "bias", "--url", scripted.url, "--key", scripted.key, "--json",
         "--questions", str(path), "--html", str(folder / "page.html")]
    )  # fmt: skip
    return status, capfd.readouterr().out


def test_a_service_that_praises_one_group_fails_the_audit(
    scripted: ServiceProcess, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out = asked(scripted, tmp_path, capfd, "优秀", "懒")
    told = json.loads(out)
    assert status == 1
    assert {e["measure"] for e in told["findings"] if e["unequal"]} >= {"warmth", "apart"}
    assert len(told["answers"]) == 48
    assert "red less blue" in (tmp_path / "page.html").read_text("utf-8")


def test_one_that_says_the_same_of_both_passes(
    scripted: ServiceProcess, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out = asked(scripted, tmp_path, capfd, "在", "在")
    assert status == 0
    assert not [each for each in json.loads(out)["findings"] if each["unequal"]]


def test_a_key_that_is_not_valid_is_an_error_and_no_verdict(
    scripted: ServiceProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    status = run(
        ["screen", "bias", "--url", scripted.url, "--key", "hr-no", "--language", "en",
         "--attribute", "gender"]
    )  # fmt: skip
    assert status not in (0, 1, 2) or "not one question was answered" in capfd.readouterr().err


def test_an_attribute_that_is_not_there_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["screen", "bias", "--url", "http://127.0.0.1:9", "--attribute", "wealth"]) == 2
    assert "nothing here is of 'wealth'" in capfd.readouterr().err
