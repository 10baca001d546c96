"""`headrace trace`, against a real database with sealed texts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.telemetry.trace import Span

if TYPE_CHECKING:
    from tests.cli.conftest import Call, Process, StoreTrace


def test_traces_are_listed_the_newest_first(call: "Call", store_trace: "StoreTrace") -> None:
    first, second = store_trace(), store_trace(status="blocked")
    rows = call("trace", "list").out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [second.id[-12:], first.id[-12:]]
    assert "blocked" in rows[0]
    for figure in ("11-24 21:05:33", "smollm2-135m", "42+31", "200 ms", "800 ms", "email"):
        assert figure in rows[1]


@pytest.mark.parametrize(
    "filters",
    [
        ["--status", "error"],
        ["--model", "other"],
        ["--conversation", "c2"],
        ["--key", "k2"],
        ["--limit", "1"],
    ],
)
def test_a_filter_leaves_only_what_it_names(
    call: "Call", store_trace: "StoreTrace", filters: list[str]
) -> None:
    store_trace()
    wanted = store_trace(status="error", model="other", conversation="c2", key_id="k2")
    listed = json.loads(call("trace", "list", "--json", *filters).out)
    assert [each["id"] for each in listed] == [wanted.id]


def test_before_gives_the_next_page(call: "Call", store_trace: "StoreTrace") -> None:
    old, new = store_trace(), store_trace()
    listed = json.loads(call("trace", "list", "--json", "--before", new.id[-12:]).out)
    assert [each["id"] for each in listed] == [old.id]


def test_a_trace_is_a_waterfall_on_the_turns_time(call: "Call", store_trace: "StoreTrace") -> None:
    trace = store_trace()
    out = call("trace", "show", trace.id[-12:]).out
    lines = out.splitlines()
    generate = next(line for line in lines if line.startswith("generate"))
    axis = next(line for line in lines if "400 ms" in line)
    first = next(line for line in lines if line.startswith("first token"))
    zero = axis.index("0")
    assert lines[0] == f"trace {trace.id}  ok"
    assert generate.index("█") == zero
    assert len(generate) == 120
    # The first token came after a quarter of the turn.
    assert first.index("▲") == zero + (120 - zero) // 4
    assert "mask   email  input 8-25, detector email, score 1" in out
    assert "  normalize  invisible=3" in out
    for fact in ("TTFT 200 ms", "TPOT 20 ms", "tokens 42 (20 cached) + 31", "finish stop"):
        assert fact in out


def test_a_trace_says_who_answered_instead_of_whom(
    call: "Call", store_trace: "StoreTrace", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    generate = Span(
        name="generate",
        start_s=0.0,
        attributes={
            "headrace.routing.model": "large",
            "headrace.routing.reason": "fall-back, cheapest",
            "headrace.routing.tried": ["small-0: failed", "small-1: timed_out"],
        },
    )
    trace = store_trace(spans=[generate])
    out = call("trace", "show", trace.id).out
    assert "routing.model=large  routing.reason=fall-back, cheapest" in out
    assert "routing.tried=small-0: failed; small-1: timed_out" in out


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_waterfall_fits_the_terminal(
    call: "Call", store_trace: "StoreTrace", monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    store_trace()
    monkeypatch.setenv("COLUMNS", str(columns))
    for line in call("trace", "show").out.splitlines():
        assert len(line) <= max(columns, 45)


def test_without_unicode_the_bars_are_ascii(process: "Process", store_trace: "StoreTrace") -> None:
    store_trace()
    shown = process("trace", "show", environ={"PYTHONIOENCODING": "ascii"})
    assert shown.returncode == 0
    assert b"########" in shown.stdout
    assert b"?" not in shown.stdout


def test_texts_stay_sealed_until_asked_for(call: "Call", store_trace: "StoreTrace") -> None:
    store_trace("谁是 ann@example.com?", "我不知道。\nReally.")
    assert "ann@" not in call("trace", "show").out + call("trace", "show", "--json").out
    shown = call("trace", "show", "--content").out
    assert "user\n谁是 ann@example.com?\n" in shown
    assert "answer\n我不知道。\nReally.\n" in shown
    (message,) = json.loads(call("trace", "show", "--content", "--json").out)["input"]
    assert message == {"role": "user", "content": "谁是 ann@example.com?"}


def test_what_a_model_wrote_cannot_drive_the_terminal(
    call: "Call", store_trace: "StoreTrace"
) -> None:
    store_trace(answered="\x1b]0;owned\x07plain\x9b31m\u202etxet")
    shown = call("trace", "show", "--content").out
    assert "�]0;owned�plain�31m�txet" in shown


def test_texts_open_with_a_key_from_the_environment(
    call: "Call", store_trace: "StoreTrace", folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_trace("secret")
    file = folder / ".headrace" / "master.key"
    monkeypatch.setenv("HEADRACE_MASTER_KEY", file.read_text())
    file.unlink()
    assert "secret" in call("trace", "show", "--content").out


def test_traces_are_shown_without_the_master_key_but_texts_are_not(
    call: "Call", store_trace: "StoreTrace", folder: Path
) -> None:
    store_trace("secret")
    (folder / ".headrace" / "master.key").unlink()
    assert call("trace", "show").status == 0
    refused = call("trace", "show", "--content")
    assert refused.status == 1
    assert "master.key" in refused.err


def test_an_unknown_trace_is_an_error(call: "Call", store_trace: "StoreTrace") -> None:
    store_trace()
    result = call("trace", "show", "0123abcd9999")
    assert result.status == 1
    assert result.err.splitlines()[1] == "hint: see `headrace trace list`"


def test_json_holds_spans_and_findings_and_no_process_clock(
    call: "Call", store_trace: "StoreTrace"
) -> None:
    trace = store_trace()
    shown = json.loads(call("trace", "show", "--json").out)
    assert [span["name"] for span in shown["spans"]] == ["normalize", "screen", "generate"]
    assert shown["findings"] == trace.findings
    assert shown["ttft_s"] == 0.2
    assert shown.keys().isdisjoint({"input", "output", "clock_zero"})
