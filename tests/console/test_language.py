"""Every word of the page exists in every language, and a reader gets the right one."""

import importlib
import pkgutil
import re
from importlib.metadata import entry_points
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.console
from headrace.console.language import choose, load_catalogues
from headrace.errors import HeadraceError
from headrace.screening.finding import Action
from headrace.telemetry.trace import TraceStatus

CONSOLE = Path(str(headrace.console.__path__[0]))
CATALOGUES = load_catalogues()
ENGLISH = CATALOGUES["en"].texts
OTHER_DOORS = ("headrace.cli.", "headrace.server.", "headrace.gateway.")
NEVER_ON_THE_PAGE = {
    # They stop a service from starting, so no page can show them.
    "home_in_use", "invalid_config", "master_key_unusable", "schema_too_new",
    "weights_unavailable", "worker_failed",
    # The page takes these texts as absent (`unseal_if_kept`).
    "subject_erased", "subject_locked",
    # Only `headrace cache` says them.
    "judge_unfit", "shared_cache_away", "too_little_traffic",
    # Said by the commands that read files, build releases and run suites.
    "address_refused", "dataset_invalid", "dataset_unreadable", "judge_undecided", "release_busy",
    "release_unproved",
    "privacy_budget_spent", "privacy_unavailable",
    "bundle_failed",
    "comment_failed",
    "release_invalid", "scorer_failed", "tool_failed", "tool_unavailable",
    "unreadable_document",
    # Steps of workflows end with it; a run's page shows its own words.
    "step_failed",
    # A fine-tune's own, said by `headrace train` and in the events of its job.
    "training_busy", "training_does_not_fit", "training_failed", "training_invalid",
    "training_unavailable",
}  # fmt: skip
_CALL = re.compile(r"""(?:\bt|\bother|\.language)(?:\.get)?\(\s*["']([\w.]+)["']\s*(~|[+])?""")


def used() -> tuple[set[str], set[str]]:
    """Keys that templates and views name, and beginnings that they complete."""
    keys: set[str] = set()
    beginnings: set[str] = set()
    sources = [*CONSOLE.rglob("*.html"), *CONSOLE.rglob("*.py")]
    for source in sources:
        for key, joined in _CALL.findall(source.read_text("utf-8")):
            (beginnings if joined else keys).add(key)
    return keys, beginnings


def test_there_are_english_and_chinese() -> None:
    assert set(CATALOGUES) == {"en", "zh"}


def test_languages_have_the_same_keys() -> None:
    for catalogue in CATALOGUES.values():
        assert set(catalogue.texts) == set(ENGLISH), catalogue.code


def test_languages_fill_in_the_same_values() -> None:
    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}

    for catalogue in CATALOGUES.values():
        for key, text in catalogue.texts.items():
            assert names(text) == names(ENGLISH[key]), (catalogue.code, key)


def test_no_text_is_empty_and_chinese_is_chinese() -> None:
    same = {"language.name"}
    for key, text in CATALOGUES["zh"].texts.items():
        assert text.strip(), key
        assert key in same or re.search(r"[\u3400-\u9fff]", text), (key, text)


def test_every_key_that_the_page_uses_exists() -> None:
    keys, beginnings = used()
    assert keys
    assert keys <= set(ENGLISH)
    for beginning in beginnings:
        assert any(key.startswith(beginning) for key in ENGLISH), beginning


def test_every_text_is_used() -> None:
    keys, beginnings = used()
    unused = {k for k in set(ENGLISH) - keys if not k.startswith(tuple(beginnings))}
    assert unused == set()


def test_every_step_has_a_name() -> None:
    ours = {e.name for e in entry_points(group="headrace.steps") if e.value.startswith("headrace.")}
    assert {f"step.{name}" for name in ours} <= set(ENGLISH)


def test_every_status_and_action_has_a_name() -> None:
    assert {f"trace.status.{status}" for status in get_args(TraceStatus)} <= set(ENGLISH)
    assert {f"action.{action}" for action in get_args(Action)} <= set(ENGLISH)


def test_every_failure_that_a_reader_can_meet_has_words() -> None:
    for module in pkgutil.walk_packages(headrace.__path__, "headrace."):
        if module.name.endswith(".errors"):
            importlib.import_module(module.name)
    codes = {error.code for error in _errors(HeadraceError)}
    assert codes - NEVER_ON_THE_PAGE - {key.removeprefix("error.") for key in ENGLISH} == set()


def _errors(kind: type[HeadraceError]) -> set[type[HeadraceError]]:
    room = kind.__module__
    ours = {kind} if room.startswith("headrace.") and not room.startswith(OTHER_DOORS) else set()
    return ours.union(*(_errors(each) for each in kind.__subclasses__()))


@pytest.mark.parametrize(
    ("chosen", "accept", "code"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "en-GB,zh;q=0.9", "en"),
        ("", "fr, zh;q=0.3, en;q=0.2", "zh"),
        ("", "fr", "en"),
        ("", "zh;q=0, en;q=0.1", "en"),
        ("", "ZH-Hant-TW", "zh"),
        ("", "zh;q=much", "en"),
        ("zh", "en", "zh"),
        ("xx", "zh", "zh"),
    ],
)
def test_the_reader_gets_the_language_they_ask_for(chosen: str, accept: str, code: str) -> None:
    assert choose(CATALOGUES, chosen=chosen, accept=accept).code == code


@given(accept=st.text(alphabet="zhen,;q=.-0123456789* inf\x00ü", max_size=60))
def test_no_header_can_upset_the_choice(accept: str) -> None:
    assert choose(CATALOGUES, chosen="", accept=accept).code in CATALOGUES
