"""How well and how fast names, dates and amounts are found: `python bench/entities.py`.

The labelled sentences (bench/entities_data/) are ours: about a hundred in English and a hundred in
Chinese, with the glossary that they are linked to. Odd lines were looked at while rules were
written, even lines (held out) were not. A mention counts when start, end and kind are right; a
link when its id is right, too.

    --errors         print what is missed or wrong on the odd lines (never on the held-out ones)
    --peer           dates of the English sentences by dateparser, if it is installed
    --speed-only     only the speed
"""

import argparse
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headrace.config.node import load_yaml
from headrace.knowledge.entities.link import EntityLinker
from headrace.knowledge.entities.settings import Entity, Glossary, read_entities

DATA = Path(__file__).parent / "entities_data"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MARK = re.compile(r"\[([^\]]+)\]\((\w+)(?:=([^)]*))?\)")
KINDS = ("person", "organisation", "place", "product", "other", "date", "time", "amount")
Span = tuple[int, int, str, str]
"""Start, end, kind, id."""


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    spans: tuple[Span, ...]


def read(path: Path) -> list[Sentence]:
    sentences = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        text, spans, at = "", [], 0
        for match in MARK.finditer(line):
            text += line[at : match.start()]
            spans.append((len(text), len(text) + len(match[1]), match[2], match[3] or ""))
            text, at = text + match[1], match.end()
        sentences.append(Sentence(text + line[at:], tuple(spans)))
    return sentences


def linker() -> EntityLinker:
    node = load_yaml(DATA / "glossary.yaml", {})
    return EntityLinker(read_entities(node, DATA, {}))


def found(link: EntityLinker, text: str) -> tuple[Span, ...]:
    links = link.link(text, now=NOW, timezone=UTC)
    return tuple((each.start, each.end, each.kind, each.id) for each in links)


def figures(wanted: int, given: int, right: int) -> str:
    precision = right / given if given else 0.0
    recall = right / wanted if wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return f"{wanted:>7} {given:>6} {precision:>10.3f} {recall:>7.3f} {f1:>6.3f}"


def measure(name: str, link: EntityLinker, sentences: Sequence[Sentence]) -> None:
    wanted: Counter[str] = Counter()
    given: Counter[str] = Counter()
    right: Counter[str] = Counter()
    linked = [0, 0, 0]
    for each in sentences:
        got = found(link, each.text)
        wanted.update(span[2] for span in each.spans)
        given.update(span[2] for span in got)
        mentions = {span[:3] for span in each.spans}
        right.update(span[2] for span in got if span[:3] in mentions)
        ids = {span for span in each.spans if span[3]}
        said = {span for span in got if span[3]}
        linked = [linked[0] + len(ids), linked[1] + len(said), linked[2] + len(ids & said)]
    print(f"\n{name}: {len(sentences)} sentences")
    print(f"{'':<14}{'wanted':>7} {'found':>6} {'precision':>10} {'recall':>7} {'F1':>6}")
    for kind in KINDS:
        if wanted[kind] or given[kind]:
            print(f"{kind:<14}{figures(wanted[kind], given[kind], right[kind])}")
    print(f"{'all':<14}{figures(wanted.total(), given.total(), right.total())}")
    print(f"{'linked, by id':<14}{figures(*linked)}")


def errors(link: EntityLinker, sentences: Iterable[Sentence]) -> None:
    for each in sentences:
        got = found(link, each.text)
        missed = [
            (each.text[s:e], kind, name)
            for s, e, kind, name in each.spans
            if (s, e, kind, name) not in got
        ]
        extra = [
            (each.text[s:e], kind, name)
            for s, e, kind, name in got
            if (s, e, kind, name) not in each.spans
        ]
        if missed or extra:
            print(f"{each.text}\n   missed {missed}\n   extra  {extra}")


def _days(spans: Iterable[Span]) -> set[str]:
    """Single days: months, years and stretches of time are left out."""
    return {name for *_, kind, name in spans if kind == "date" and len(name) == len("2026-11-25")}


def peer(sentences: Sequence[Sentence]) -> None:
    """Dates of the English sentences by dateparser's search, and by us: days only."""
    try:
        from dateparser.search import search_dates  # type: ignore[import-untyped]  # has no types
    except ImportError:
        print("\ndateparser is not installed: pip install dateparser")
        return
    settings = {"RELATIVE_BASE": NOW.replace(tzinfo=None), "PREFER_DATES_FROM": "future"}
    ours = linker()

    def theirs(text: str) -> set[str]:
        hits = search_dates(text, languages=["en"], settings=settings) or ()
        return {day.date().isoformat() for _, day in hits}

    def own(text: str) -> set[str]:
        return _days(found(ours, text))

    print(
        f"\n{'days in English':<14}{'wanted':>6} {'found':>6} {'precision':>10} {'recall':>7} {'F1':>6}   ms/sentence"
    )
    ways: tuple[tuple[str, Callable[[str], set[str]]], ...] = (
        ("Headrace", own),
        ("dateparser", theirs),
    )
    for name, way in ways:
        wanted = given = right = 0
        start = time.perf_counter()
        for each in sentences:
            days = _days(each.spans)
            got = way(each.text)
            wanted, given, right = wanted + len(days), given + len(got), right + len(days & got)
        took = (time.perf_counter() - start) / len(sentences) * 1000
        print(f"{name:<14}{figures(wanted, given, right)} {took:>10.2f}")


def speed(english: Sequence[Sentence], chinese: Sequence[Sentence]) -> None:
    """Texts of 1,000 characters against a glossary of 1,000 names more."""
    node = load_yaml(DATA / "glossary.yaml", {})
    many = tuple(
        Entity(name=f"Product {number} Turbine", aliases=(f"涡轮机{number}号",))
        for number in range(1000)
    )
    glossary = Glossary(entities=(*read_entities(node, DATA, {}).entities, *many))
    start = time.perf_counter()
    link = EntityLinker(glossary)
    print(f"\n1,020 entities made ready in {(time.perf_counter() - start) * 1000:.0f} ms")
    for name, sentences in (("English", english), ("Chinese", chinese)):
        joined = (" " if name == "English" else "").join(each.text for each in sentences)
        texts = [joined[at : at + 1000] for at in range(0, len(joined) - 1000, 97)]
        times: list[float] = []
        spent = time.process_time()
        for _ in range(max(1, 400 // len(texts))):
            for text in texts:
                began = time.perf_counter()
                link.link(text, now=NOW, timezone=UTC)
                times.append((time.perf_counter() - began) * 1000)
        spent = (time.process_time() - spent) / len(times) * 1000
        times.sort()
        p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
        print(
            f"{name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms per 1,000 characters; {spent:.2f} ms of "
            f"processor time, so {1 / spent:.2f} million characters a second and core "
            f"({len(times)} texts)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--speed-only", action="store_true")
    asked = parser.parse_args()
    link = linker()
    sets = {name: read(DATA / f"{name}.txt") for name in ("english", "chinese")}
    if asked.errors:
        for sentences in sets.values():
            errors(link, sentences[::2])
        return
    if not asked.speed_only:
        for name, sentences in sets.items():
            measure(f"{name}, tuned on", link, sentences[::2])
            measure(f"{name}, held out", link, sentences[1::2])
    if asked.peer:
        peer(sets["english"])
    if not asked.peer:
        speed(sets["english"], sets["chinese"])


if __name__ == "__main__":
    main()
