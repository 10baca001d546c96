"""How well keys and passwords are found, beside detect-secrets and LLM Guard, and what is said in vain.

    nice -n 10 python bench/screening/secret.py [--detect-secrets-python PATH] [--llm-guard-python PATH]
        [--part "held out"] [--count 24] [--misses]

Texts with one secret, of forms in secret_forms.py, and lines that only look like one
(secret_benign.py), in two parts: what `development` missed may be looked at to mend a detector,
`held out` has other values, contexts and benign sources, and some forms of its own. Beside our
detectors, in the same run: one regular expression (as in personal.py), and the peers where a
Python that has them is named; each in a virtual environment of its own:

    python -m venv /tmp/peers && /tmp/peers/bin/pip install detect-secrets
    python -m venv /tmp/guard && /tmp/guard/bin/pip install llm-guard

A secret is found when a span covers half of it; a private key also by its first line, which is all
that detect-secrets reports. A span is right when it overlaps the secret. Precision by kind counts
spans in the texts of that kind, some of which hold a commit or a UUID as well; the precision of all
counts the benign lines, too. Seconds are the processor's; every text is looked at once.

Not named `secrets.py`: Python looks beside a script first, and its library has a module of that name.
"""

import argparse
import json
import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from personal import BASELINE, Counts  # type: ignore[import-not-found]  # beside this script
from secret_benign import benign  # type: ignore[import-not-found]
from secret_forms import CONTEXTS, FORMS, UNSEEN, Form, filled  # type: ignore[import-not-found]
from secret_forms import fill as random_text

from headrace.screening.registry import detectors

WORKER = Path(__file__).parent / "secret_worker.py"
SEEDS = {"development": 20261124, "held out": 20261125}
Spans = list[tuple[int, int]]
Finder = Callable[[Sequence[str]], tuple[list[Spans], float]]


@dataclass(frozen=True, slots=True)
class Case:
    kind: str
    text: str
    start: int = 0
    end: int = 0
    """Of the secret; a benign line has none."""


@dataclass(slots=True)
class Result:
    kinds: dict[str, Counts] = field(default_factory=dict)
    alarms: dict[str, int] = field(default_factory=dict)
    """Benign lines about which something was said, by kind."""
    spans_in_vain: int = 0
    megabytes_per_s: float = 0.0


def secrets_of(part: str, count: int) -> list[Case]:
    chance = random.Random(SEEDS[part])
    forms = FORMS + UNSEEN if part == "held out" else FORMS
    return [_case(form, part, number, chance) for form in forms for number in range(count)]


def _case(form: Form, part: str, number: int, chance: random.Random) -> Case:
    contexts = form.contexts or CONTEXTS[part]
    value = filled(form, chance)
    words = {
        "n": form.name,
        "N": form.name.upper(),
        "s": form.spoken,
        "hex32": random_text("[a-f0-9]{32}", chance),
        "hex40": random_text("[a-f0-9]{40}", chance),
        "uuid": random_text(
            "[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-a[a-f0-9]{3}-[a-f0-9]{12}", chance
        ),
    }
    before, after = contexts[number % len(contexts)].split("{v}")
    before, after = before.format(**words), after.format(**words)
    return Case(form.kind, before + value + after, len(before), len(before) + len(value))


def benign_of(part: str) -> list[Case]:
    lines = benign(part, SEEDS[part])
    return [Case(kind, line) for kind, each in lines.items() for line in each]


def ours(texts: Sequence[str]) -> tuple[list[Spans], float]:
    parts = [each for each, _ in detectors().values() if "secret" in each.kinds]
    began = time.process_time()
    found = [[(s.start, s.end) for part in parts for s in part.detect(text)] for text in texts]
    return found, time.process_time() - began


def expression(texts: Sequence[str]) -> tuple[list[Spans], float]:
    compiled = re.compile(BASELINE["secret"])
    began = time.process_time()
    found = [[match.span() for match in compiled.finditer(text)] for text in texts]
    return found, time.process_time() - began


def peer(python: str, system: str) -> Finder:
    def find(texts: Sequence[str]) -> tuple[list[Spans], float]:
        done = subprocess.run(
            [python, str(WORKER), system],
            input="".join(json.dumps(text) + "\n" for text in texts),
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [
            json.loads(line) for line in done.stdout.splitlines() if line[:1] in '"[0123456789'
        ]
        print(f"{system}: {lines[0]}")
        return [[(start, end) for start, end in spans] for spans in lines[1:-1]], lines[-1]

    return find


def judge(cases: Sequence[Case], found: Sequence[Spans], *, misses: bool) -> Result:
    result = Result()
    for case, spans in zip(cases, found, strict=True):
        distinct = _merged(spans)
        if not case.end:
            result.alarms[case.kind] = result.alarms.get(case.kind, 0) + bool(distinct)
            result.spans_in_vain += len(distinct)
            if misses and distinct:
                print(
                    f"  in vain, {case.kind}: {[case.text[s:e] for s, e in distinct]} in {case.text[:160]!r}"
                )
            continue
        counts = result.kinds.setdefault(case.kind, Counts())
        right = [(s, e) for s, e in distinct if s < case.end and case.start < e]
        counts.right += len(right)
        counts.wrong += len(distinct) - len(right)
        hidden = sum(min(e, case.end) - max(s, case.start) for s, e in right)
        met = 2 * hidden >= case.end - case.start or (case.kind == "private key" and bool(right))
        counts.met += met
        counts.missed += not met
        if misses and not met:
            print(f"  missed, {case.kind}: {case.text!r}")
        if misses and len(distinct) > len(right):
            print(f"  wrong, {case.kind}: {[case.text[s:e] for s, e in distinct]} in {case.text!r}")
    return result


def _merged(spans: Spans) -> Spans:
    """Without overlaps: several rules about one string are one alarm."""
    merged: Spans = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def show(cases: Sequence[Case], results: dict[str, Result]) -> None:
    print(f"{'':<24}" + "".join(f"{name:>20}" for name in results))
    print(f"{'kind (texts)':<24}" + f"{'prec.  rec.   F1':>20}" * len(results))
    texts: dict[str, int] = {}
    lines: dict[str, int] = {}
    for case in cases:
        into = texts if case.end else lines
        into[case.kind] = into.get(case.kind, 0) + 1
    for kind, count in texts.items():
        row = (_scores(each.kinds[kind]) for each in results.values())
        print(f"{f'{kind} ({count})':<24}" + "".join(row))
    row = (_scores(_total(each)) for each in results.values())
    print(f"{f'all ({sum(texts.values())})':<24}" + "".join(row))
    print("\nfalse alarms for 1,000 benign lines")
    for kind, count in lines.items():
        row = (f"{1000 * each.alarms[kind] / count:>20.1f}" for each in results.values())
        print(f"{f'{kind} ({count})':<24}" + "".join(row))
    count = sum(lines.values())
    row = (f"{1000 * sum(each.alarms.values()) / count:>20.1f}" for each in results.values())
    print(f"{f'all ({count})':<24}" + "".join(row))
    row = (f"{each.megabytes_per_s:>20.2f}" for each in results.values())
    print(f"\n{'MB/s, all texts':<24}" + "".join(row))


def _scores(c: Counts) -> str:
    return f"{c.precision:>9.2f}{c.recall:>6.2f}{c.f1:>5.2f}"


def _total(result: Result) -> Counts:
    parts = result.kinds.values()
    total = Counts(
        *(sum(getattr(c, name) for c in parts) for name in ("right", "wrong", "met", "missed"))
    )
    total.wrong += result.spans_in_vain
    return total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detect-secrets-python", default="", help="a Python that has it")
    parser.add_argument("--llm-guard-python", default="", help="a Python that has it")
    parser.add_argument("--part", choices=tuple(SEEDS), default="held out")
    parser.add_argument("--count", type=int, default=24, help="texts for each form")
    parser.add_argument("--misses", action="store_true", help="print what went wrong with ours")
    options = parser.parse_args()
    systems: dict[str, Finder] = {"headrace": ours, "expression": expression}
    if options.detect_secrets_python:
        systems["detect-secrets"] = peer(options.detect_secrets_python, "detect-secrets")
        systems["eager"] = peer(options.detect_secrets_python, "eager")
    else:
        print("detect-secrets: left out (--detect-secrets-python)")
    if options.llm_guard_python:
        systems["llm-guard"] = peer(options.llm_guard_python, "llm-guard")
    else:
        print("LLM Guard: left out (--llm-guard-python)")
    cases = secrets_of(options.part, options.count) + benign_of(options.part)
    texts = [case.text for case in cases]
    size = sum(len(text.encode()) for text in texts)
    results: dict[str, Result] = {}
    for name, find in systems.items():
        found, took_s = find(texts)
        results[name] = judge(cases, found, misses=options.misses and name == "headrace")
        results[name].megabytes_per_s = size / took_s / 1e6
    print(f"\n{options.part}: {len(cases)} texts, {size / 1e6:.2f} MB")
    show(cases, results)


if __name__ == "__main__":
    main()
