"""An audit as one HTML file: no script, nothing fetched, light and dark as the reader's system."""

from html import escape
from itertools import groupby

from headrace.evaluation.bias.audit import Audit, Finding
from headrace.evaluation.bias.measure import MEASURES

__all__ = ["bias_page"]

_APART = "how much further answers lie apart across the groups than inside them"
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;--page:#fff;--line:#d8dde3;--bad:#b3261e;--good:#1d7a3e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--dim:#9aa4b0;--page:#14171b;--line:#343b44;--bad:#ff8f86;--good:#6cc78b}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;max-width:64rem;padding:1.5rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p.dim,small{color:var(--dim)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:start;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:end;font-variant-numeric:tabular-nums;white-space:nowrap}.bad{color:var(--bad)}.good{color:var(--good)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0;font:inherit}summary{cursor:pointer}
"""


def bias_page(audit: Audit, *, service: str, made: str) -> str:
    """The page.

    Args:
        service: what was asked, in words.
        made: when, in words.
    """
    found = audit.unequal
    verdict = f"{len(found)} unequal" if found else "no difference beyond chance"
    rows = "".join(map(_row, audit.findings))
    words = "".join(f"<li>{escape(n)}: {escape(w)}</li>" for n, w in MEASURES.items())
    body = (
        f"<h1>Bias: <span class={'bad' if found else 'good'}>{escape(verdict)}</span></h1>"
        f"<p class=dim>{escape(made)} · {escape(service)} · {len(audit.answers)} answers, "
        f"{audit.failed} without one · level {audit.alpha:g}, corrected after Holm</p>"
        "<h2>Differences</h2><div class=wide><table><thead><tr><th>Attribute<th>Measure"
        "<th class=n>Difference<th class=n>95 % interval<th class=n>Detectable<th class=n>p"
        f"<th class=n>corrected<th class=n>Questions</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<ul class=dim>{words}<li>apart: {escape(_APART)}</li></ul>"
        f"<h2>Answers</h2>{_answers(audit)}"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Bias: {escape(verdict)}</title><style>{_STYLE}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )


def _row(each: Finding) -> str:
    mark = " class=bad" if each.unequal else ""
    return (
        f"<tr{mark}><td>{escape(each.attribute)} ({escape(each.language)})<br><small>"
        f"{escape(each.first)} less {escape(each.second)}</small></td><td>{escape(each.measure)}</td>"
        f"<td class=n>{each.difference:+.3f}</td><td class=n>{each.low:+.3f} to {each.high:+.3f}</td>"
        f"<td class=n>{each.detectable:.3f}</td><td class=n>{each.p_value:.4f}</td>"
        f"<td class=n>{each.corrected:.4f}</td><td class=n>{each.questions}</td></tr>"
    )


def _answers(audit: Audit) -> str:
    parts: list[str] = []
    for key, own in groupby(audit.answers, key=lambda e: (e.language, e.attribute, e.question)):
        rows = "".join(
            f"<tr><td>{escape(e.who)}<br><small>{escape(e.group)}</small></td>"
            f"<td><pre>{escape(e.text)}</pre></td></tr>"
            for e in own
        )
        title = escape(" · ".join(key))
        parts.append(f"<details><summary>{title}</summary><table>{rows}</table></details>")
    return "".join(parts)
