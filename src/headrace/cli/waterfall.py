"""A trace as a picture for the terminal: what it was, its steps on the turn's time, findings.

Places come from `console/waterfall.py`, so the page and the terminal draw the same picture.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from headrace.cli.terminal import is_unicode, printable
from headrace.console.figure import as_moment, as_seconds, as_usd
from headrace.console.waterfall import Row, Waterfall
from headrace.telemetry.trace import AttributeValue, Trace

__all__ = ["NamedLink", "links_of", "print_trace"]

NAME_CELLS = 24
SHORTEST_BAR = 12
FIGURE_CELLS = 9
RELEASE_CHARS = len("sha256:") + 12
"""As in the wire's `system_fingerprint`; `--json` has it whole."""
EIGHTHS = " ▏▎▍▌▋▊▉█"

_STYLE_BY_STATUS = {"ok": "green", "blocked": "yellow", "cancelled": "yellow"}
_STYLE_BY_ACTION = {"block": "red", "mask": "yellow", "flag": "cyan"}


def print_trace(terminal: Console, trace: Trace) -> None:
    """Everything about one turn but its texts."""
    for line in _head(trace, terminal.width):
        terminal.print(line)
    terminal.print()
    for line in _picture(terminal, trace):
        terminal.print(line, no_wrap=True, overflow="crop")
    findings = list(_findings(trace))
    if findings:
        terminal.print()
        terminal.print(Text("findings", "bold"))
        for line in findings:
            terminal.print(line)
    links = list(_links(trace))
    if links:
        terminal.print()
        terminal.print(Text("links", "bold"))
        for line in links:
            terminal.print(line)
    said = list(_attributes(trace))
    if said:
        terminal.print()
        terminal.print(Text("steps", "bold"))
        table = Table.grid(padding=(0, 2))
        for name, attributes in said:
            table.add_row("", Text(name), Text(attributes, "dim"))
        terminal.print(table)


def _head(trace: Trace, width: int) -> Iterator[Text]:
    status = Text(trace.status, _STYLE_BY_STATUS.get(trace.status, "red"))
    yield Text.assemble((f"trace {trace.id}", "bold"), "  ", status, _error(trace))
    yield from _facts(
        width,
        ("at", as_moment(trace.started_at)),
        ("model", trace.model),
        ("by", f"{trace.deployment} ({trace.provider})" if trace.deployment else ""),
        ("template", trace.template),
        ("release", trace.release[:RELEASE_CHARS]),
    )
    yield from _facts(
        width,
        ("operation", trace.operation + (", streamed" if trace.stream else "")),
        ("key", trace.key_id),
        ("conversation", trace.conversation or ""),
        ("language", trace.language),
    )
    yield from _facts(
        width,
        ("total", as_seconds(trace.duration_s)),
        ("TTFT", "" if trace.ttft_s is None else as_seconds(trace.ttft_s)),
        ("TPOT", "" if trace.tpot_s is None else as_seconds(trace.tpot_s)),
        ("tokens", _tokens(trace)),
        ("cost", as_usd(trace.cost_usd)),
        ("finish", trace.finish_reason or ""),
    )


def _error(trace: Trace) -> str:
    if trace.error is None or trace.error == trace.status:
        return ""
    return f"  {printable(trace.error)}"


def _facts(width: int, *facts: tuple[str, str]) -> Iterator[Text]:
    """`name value  name value`, absent ones left out; a new line where the next does not fit."""
    line = Text()
    for name, value in facts:
        if not value:
            continue
        fact = Text.assemble((f"{name} ", "dim"), printable(value))
        if line and line.cell_len + 2 + fact.cell_len > width:
            yield line
            line = Text()
        line.append("  " if line else "").append_text(fact)
    if line:
        yield line


def _tokens(trace: Trace) -> str:
    cached = f" ({trace.cached_tokens} cached)" if trace.cached_tokens else ""
    return f"{trace.prompt_tokens}{cached} + {trace.completion_tokens}"


def _picture(terminal: Console, trace: Trace) -> Iterator[Text]:
    waterfall = Waterfall.of(trace)
    names = max((_label_cells(row) for row in waterfall.rows), default=4)
    names = min(max(names, len("first token")), NAME_CELLS)
    taken = names + 2 * (FIGURE_CELLS + 1) + 2
    bar = max(terminal.width - taken, SHORTEST_BAR)
    yield Text(" " * taken + _axis(waterfall, bar), "dim")
    for row in waterfall.rows:
        yield _line(terminal, row, names, bar)
    if waterfall.first_token is not None and trace.ttft_s is not None:
        mark = "▲" if is_unicode(terminal) else "^"
        at = min(int(waterfall.first_token / 100 * bar), bar - 1)
        label = set_cell_size("first token", names)
        figure = as_seconds(trace.ttft_s).rjust(FIGURE_CELLS)
        gap = " " * (FIGURE_CELLS + 3 + at)
        yield Text(f"{label} {figure}{gap}{mark}", "dim")


def _label_cells(row: Row) -> int:
    return 2 * row.depth + cell_len(row.name)


def _axis(waterfall: Waterfall, bar: int) -> str:
    """Times above the bars; a mark that has no room for its text is left out."""
    cells = [int(tick.at / 100 * bar) for tick in waterfall.ticks]
    line = ""
    for (at, until), tick in zip(pairwise([*cells, bar]), waterfall.ticks, strict=True):
        text = as_seconds(tick.seconds) if tick.seconds else "0"
        if len(text) < until - at and at >= len(line):
            line = line.ljust(at) + text
    return line


def _line(terminal: Console, row: Row, names: int, bar: int) -> Text:
    style = "red" if row.error else "bold cyan" if row.kind == "client" else "cyan"
    name = set_cell_size("  " * row.depth + printable(row.name), names)
    started = as_seconds(row.start_s).rjust(FIGURE_CELLS)
    took = as_seconds(row.duration_s).rjust(FIGURE_CELLS)
    line = Text.assemble(name, " ", (started, "dim"), " ", took, "  ")
    line.append(_bar(row, bar, unicode=is_unicode(terminal)), style)
    if row.error:
        line.append(f" {printable(row.error)}", "red")
    return line


def _bar(row: Row, cells: int, *, unicode: bool) -> str:
    start = min(int(row.start / 100 * cells), cells - 1)
    eighths = max(round(row.width / 100 * cells * 8), 1)
    eighths = min(eighths, (cells - start) * 8)
    if not unicode:
        return " " * start + "#" * max(round(eighths / 8), 1)
    whole, rest = divmod(eighths, 8)
    return " " * start + EIGHTHS[8] * whole + EIGHTHS[rest].strip()


def _findings(trace: Trace) -> Iterator[Text]:
    for each in trace.findings:
        action = str(each.get("action", ""))
        line = Text("  ")
        line.append(f"{action:<6}", _STYLE_BY_ACTION.get(action, "dim"))
        line.append(f" {printable(str(each.get('kind', '')))}")
        place = f"{each.get('side', '')} {each.get('start', '')}-{each.get('end', '')}"
        score = each.get("score")
        sure = f", score {score:.2g}" if isinstance(score, float) else ""
        if note := each.get("note"):
            sure += f", {printable(str(note))}"
        line.append(f"  {place}, detector {printable(str(each.get('detector', '')))}{sure}", "dim")
        yield line


class NamedLink(NamedTuple):
    """What a question names, as the trace keeps it."""

    kind: str
    id: str
    score: str
    span: str


def links_of(trace: Trace) -> Iterator[NamedLink]:
    """Every link of a trace."""
    for span in trace.spans:
        columns = [span.attributes.get(f"headrace.link.{name}s") for name in NamedLink._fields]
        yield from map(NamedLink, *(each if isinstance(each, list) else () for each in columns))


def _links(trace: Trace) -> Iterator[Text]:
    for link in links_of(trace):
        line = Text(f"  {printable(link.kind):<12}")
        line.append(f" {printable(link.id)}" if link.id else "")
        line.append(f"  {printable(link.span)}, score {printable(link.score)}", "dim")
        yield line


def _attributes(trace: Trace) -> Iterator[tuple[str, str]]:
    """What each step said about the turn; what the head already says is left out."""
    for span in trace.spans:
        said = dict(_own(span.name, span.attributes))
        if said:
            pairs = (f"{name}={printable(_written(value))}" for name, value in said.items())
            yield printable(span.name), "  ".join(pairs)


def _own(step: str, attributes: dict[str, AttributeValue]) -> Iterator[tuple[str, AttributeValue]]:
    for name, value in attributes.items():
        for prefix in (f"headrace.{step}.", "gen_ai.request."):
            short = name.removeprefix(prefix)
            if short != name and short not in ("model", "stream"):
                yield printable(short), value
        if name.startswith(("headrace.routing.", "headrace.cache.")):
            yield printable(name.removeprefix("headrace.")), value
        if not name.startswith(("headrace.", "gen_ai.")):
            yield printable(name), value


def _written(value: AttributeValue) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
