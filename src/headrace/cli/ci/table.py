"""What a commit changes, as Markdown for a pull request."""

import re
from collections.abc import Iterator, Sequence

from headrace.cli.ci.base import Commit
from headrace.cli.release.bench import Asked
from headrace.releases.diff import ReleaseDiff

__all__ = ["MARK", "markdown"]

MARK = "<!-- headrace ci -->"
"""By it the comment of an earlier run is found again."""
_MOST_REGRESSIONS = 10
_MOST_ANSWER = 600
"""Characters of an answer; the whole text is in the run."""


def markdown(base: Commit | None, changes: ReleaseDiff | None, asked: Sequence[Asked]) -> str:
    """The comment.

    Args:
        changes: against the base; None where there is none.
    """
    passed = all(each.attestation.passed for each in asked)
    lines = [MARK, f"### Headrace: {'gate passed ✅' if passed else 'gate failed ❌'}", ""]
    lines += _changes(base, changes)
    lines += _scores(asked)
    for each in asked:
        lines += [f"- **{each.report.suite}**: {_text(b)}" for b in each.report.breaches]
    lines += _worse(asked)
    return "\n".join(lines).rstrip() + "\n"


def _changes(base: Commit | None, changes: ReleaseDiff | None) -> Iterator[str]:
    if base is None or changes is None:
        yield "There is nothing to compare with: the service is new."
    elif changes.same_behaviour:
        yield f"Against {_text(str(base))}: answers do not change."
    else:
        what = [f"`{each.path}` {each.what}" for each in changes.files]
        what += [f"model `{name}` {how}" for name, how in changes.models.items()]
        if changes.knowledge is not None:
            what.append("knowledge changed")
        if changes.headrace is not None:
            what.append(f"Headrace {changes.headrace[0]} → {changes.headrace[1]}")
        yield f"Against {_text(str(base))}: {', '.join(what) or 'nothing of the folder'}."
    yield ""


def _scores(asked: Sequence[Asked]) -> Iterator[str]:
    if not asked:
        yield "No suite was asked: there is none in `evals/`."
        return
    yield "| suite | scorer | base | now | change | p | cases |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for each in asked:
        for line in each.report.lines:
            if line.tag is not None:
                continue
            difference = each.differences.get(line.scorer)
            before = each.before.get(line.scorer)
            yield "| {} | {} | {} | {:.3f} | {} | {} | {} |".format(
                each.report.suite,
                line.scorer,
                "–" if before is None else f"{before:.3f}",
                line.estimate.mean,
                "–" if difference is None else f"{difference.estimate.mean:+.3f}",
                "–" if difference is None else f"{difference.p_value:.3f}",
                line.estimate.count,
            )
        took, cost = each.report.total_p95_s, each.report.cost_usd
        if took is not None:
            yield f"| {each.report.suite} | *95 of 100 within* | | {took:.2f} s | | | |"
        if cost:
            yield f"| {each.report.suite} | *cost* | | {cost:.4f} USD | | | |"
    yield ""


def _worse(asked: Sequence[Asked]) -> Iterator[str]:
    found = [(each.report.suite, gone) for each in asked for gone in each.report.regressions]
    if not found:
        return
    yield ""
    yield f"<details><summary>{len(found)} cases are worse than before</summary>"
    for suite, gone in found[:_MOST_REGRESSIONS]:
        yield ""
        case = _text(gone.case)
        yield f"**{suite} / {case}**: {gone.scorer} {gone.before:.3f} → {gone.after:.3f}"
        yield ""
        yield from _fenced("-", gone.old)
        yield from _fenced("+", gone.new)
    if len(found) > _MOST_REGRESSIONS:
        yield f"\n… and {len(found) - _MOST_REGRESSIONS} more."
    yield "\n</details>"


def _fenced(mark: str, answer: str) -> list[str]:
    """An answer as a piece of a diff; nothing in it can end the block."""
    cut = answer if len(answer) <= _MOST_ANSWER else f"{answer[:_MOST_ANSWER]}…"
    longest = max((len(run) for run in re.findall(r"`+", cut)), default=0)
    fence = "`" * max(3, longest + 1)
    body = [f"{mark} {line}" for line in cut.splitlines() or [""]]
    return [f"{fence}diff", *body, fence]


def _text(text: str) -> str:
    """A text that is shown as it is, whatever Markdown would make of it."""
    plain = " ".join(text.split())
    # (An @ would call somebody.)
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", plain).replace("@", "&#64;")
