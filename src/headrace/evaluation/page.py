"""A run as one HTML file: no script, nothing fetched, light and dark as the reader's system."""

import difflib
import re
from html import escape

from headrace.evaluation.report import Line, Regression, Report
from headrace.evaluation.run import Result, Run

__all__ = ["html_page"]

MOST_CASES = 2000
_PIECE = re.compile(r"[\u3040-\u9fff]|[^\s\u3040-\u9fff]+|\s+")
_WIDTH = 320
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;--page:#fff;--line:#d8dde3;
--bar:#2f6fb3;--good:#1d7a3e;--bad:#b3261e;--new:#dff3e4;--old:#fbe3e1}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--dim:#9aa4b0;--page:#14171b;--line:#343b44;
--bar:#6aa7e8;--good:#6cc78b;--bad:#ff8f86;--new:#173622;--old:#431c1a}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;
max-width:64rem;padding:1.5rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p.dim,td.dim,small{color:var(--dim)}code{overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:start;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:end;font-variant-numeric:tabular-nums;white-space:nowrap}
.good{color:var(--good)}.bad{color:var(--bad)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0;font:inherit}
ins{background:var(--new);text-decoration:none}del{background:var(--old)}
svg{display:block}svg .track{fill:var(--line)}svg .bar{fill:var(--bar)}
svg .range{stroke:var(--ink);stroke-width:2}
summary{cursor:pointer}
"""


def html_page(run: Run, report: Report, *, run_id: str, made: str) -> str:
    """The page.

    Args:
        made: when the run was made, in words.
    """
    verdict = "failed" if report.breaches else "passed"
    mark = "bad" if report.breaches else "good"
    breaches = "".join(f"<li>{escape(each)}</li>" for each in report.breaches)
    parts = [
        f"<h1>{escape(run.suite)}: <span class={mark}>gate {verdict}</span></h1>",
        f"<p class=dim>{escape(made)} · {escape(run_id)} · release <code>{escape(run.release)}</code></p>",
        f"<ul class=bad>{breaches}</ul>" if breaches else "",
        "<h2>Scores</h2>",
        _scores([each for each in report.lines if each.tag is None]),
        _agreements(report.lines),
        _slices([each for each in report.lines if each.tag is not None]),
        "<h2>Cost and time</h2>",
        _took(report),
        _regressions(report.regressions),
        "<h2>Cases</h2>",
        _cases(run),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(run.suite)}: {verdict}</title><style>{_STYLE}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )


def _scores(lines: list[Line], first: str = "Scorer") -> str:
    rows = "".join(
        f"<tr><td>{escape(each.scorer if each.tag is None else f'{each.tag}: {each.scorer}')}</td>"
        f"<td>{_bar(each)}</td><td class=n>{each.estimate.mean:.3f}</td>"
        f"<td class=n>{_interval(each)}</td>"
        f"<td class=n>{each.estimate.count}</td></tr>"
        for each in lines
    )
    return (
        f"<div class=wide><table><thead><tr><th>{first}<th>Mean and 95 % interval<th class=n>Mean"
        f"<th class=n>Interval<th class=n>Cases</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _interval(line: Line) -> str:
    one = line.estimate
    # Equal scores alone, or one: they do not say how sure they are.
    return f"{one.low:.3f} to {one.high:.3f}" if one.low < one.high else "–"


def _bar(line: Line) -> str:
    one = line.estimate
    # A scorer of one's own may leave the range from 0 to 1; the bar ends there.
    at, low, high = (_WIDTH * min(1.0, max(0.0, each)) for each in (one.mean, one.low, one.high))
    label = f"{line.scorer}: {one.mean:.3f}, 95 % interval {one.low:.3f} to {one.high:.3f}"
    return (
        f'<svg width="{_WIDTH}" height="18" role="img" aria-label="{escape(label)}">'
        f'<rect class="track" y="6" width="{_WIDTH}" height="6" rx="3"/>'
        f'<rect class="bar" y="6" width="{at:.1f}" height="6" rx="3"/>'
        f'<path class="range" d="M{low:.1f} 2v14M{low:.1f} 9H{high:.1f}M{high:.1f} 2v14"/></svg>'
    )


def _slices(lines: list[Line]) -> str:
    return f"<h2>By tag</h2>{_scores(lines, 'Tag and scorer')}" if lines else ""


def _agreements(lines: list[Line]) -> str:
    said = []
    for each in lines:
        if (found := each.agreement) is not None:
            kappa = "not defined" if found.kappa is None else f"{found.kappa:.2f}"
            said.append(
                f"<p>{escape(each.scorer)} agrees with people on {found.same:.0%} of "
                f"{found.cases} labelled cases; Cohen's kappa {kappa}.</p>"
            )
    return "".join(said)


def _took(report: Report) -> str:
    ttft = "not measured" if report.ttft_p95_s is None else f"{report.ttft_p95_s:.3f} s"
    total = "not measured" if report.total_p95_s is None else f"{report.total_p95_s:.3f} s"
    return (
        f"<p>Answered: {report.answers}; failed: {report.errors}. In 95 of 100: first token within "
        f"{ttft}, whole answer within {total}. Cost: {report.cost_usd:.4f} USD.</p>"
    )


def _regressions(found: list[Regression]) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<tr><td>{escape(each.case)}<br><small>{escape(each.scorer)}</small></td>"
        f"<td class=n>{each.before:.3f} → {each.after:.3f}</td><td><pre>{_diff(each)}</pre></td></tr>"
        for each in found[:MOST_CASES]
    )
    return (
        "<h2>Worse than the baseline</h2><div class=wide><table><thead><tr><th>Case<th class=n>Score"
        f"<th>Answer</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _diff(each: Regression) -> str:
    """The new answer with what is gone struck out: by word, Chinese and Japanese by sign."""
    old, new = _PIECE.findall(each.old), _PIECE.findall(each.new)
    parts = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(escape("".join(new[c:d])))
            continue
        if a < b:
            parts.append(f"<del>{escape(''.join(old[a:b]))}</del>")
        if c < d:
            parts.append(f"<ins>{escape(''.join(new[c:d]))}</ins>")
    return "".join(parts)


def _cases(run: Run) -> str:
    rows = "".join(_case(run, each) for each in run.results[:MOST_CASES])
    heads = "".join(f"<th class=n>{escape(name)}" for name in run.scorers)
    left = len(run.results) - MOST_CASES
    more = f"<p class=dim>{left} more are in the JSON report.</p>" if left > 0 else ""
    return (
        f"<div class=wide><table><thead><tr><th>Case{heads}<th>Answer</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{more}"
    )


def _case(run: Run, result: Result) -> str:
    cells = ""
    for name in run.scorers:
        score = result.scores.get(name)
        note = result.notes.get(name, "") or result.unscored.get(name, "")
        shown = "–" if score is None else f"{score:.3f}"
        cells += f"<td class=n>{shown}<br><small>{escape(note)}</small></td>"
    text = result.error if result.answer is None else result.answer.text
    mark = " class=bad" if result.answer is None else ""
    return (
        f"<tr><td>{escape(result.case)}<br><small>{escape(', '.join(result.tags))}</small></td>"
        f"{cells}<td{mark}><pre>{escape(text)}</pre></td></tr>"
    )
