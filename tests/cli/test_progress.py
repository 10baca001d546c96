"""How a fetch is told where nobody watches: a line now and then."""

from collections.abc import Iterator

import pytest

from headrace.cli.progress import LINE_EVERY_S, FetchProgress


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
