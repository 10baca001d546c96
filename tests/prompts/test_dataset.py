"""Few-shot examples from a dataset: what is read, and what is said of a broken row."""

from pathlib import Path

import msgspec
import pytest

from headrace.config.watch import ServiceFiles
from headrace.errors import ConfigError
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate

GOOD = (
    '{"prompt": "Hi", "completion": "Hello!", "source": "chat 7"}\n'
    "\n"
    '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "你好"},'
    ' {"role": "assistant", "content": "您好！"}], "language": "zh"}\n'
)
SHOP = "examples: {from: data/shop.jsonl}\n"


def load(root: Path, rows: str | bytes = GOOD, shop: str = SHOP) -> PromptTemplate:
    (root / "prompts").mkdir(exist_ok=True)
    (root / "data").mkdir(exist_ok=True)
    data = rows.encode() if isinstance(rows, str) else rows
    (root / "data" / "shop.jsonl").write_bytes(data)
    (root / "prompts" / "shop.yaml").write_text(shop, encoding="utf-8")
    return PromptLibrary.load(root, {}).get("shop")


def asked(template: PromptTemplate, language: str) -> list[str]:
    rendered = template.render({}, language=language, today="")
    return [each.text() for each in rendered.examples if each.role == "user"]


def test_rows_of_both_forms_become_examples(tmp_path: Path) -> None:
    template = load(tmp_path)
    assert asked(template, "en") == ["Hi"]
    assert asked(template, "zh") == ["Hi", "你好"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{oops", "data/shop.jsonl:3: no JSON"),
        ('{"prompt": 7, "completion": "x"}', "data/shop.jsonl:3: a row of the wrong form"),
        ('{"prompt": "x"}', "data/shop.jsonl:3: a row has a `prompt` and a `completion`"),
        ('{"prompt": " ", "completion": "x"}', "data/shop.jsonl:3: a row has"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "data/shop.jsonl:3: an example is"),
        (b'{"prompt": "\xff", "completion": "x"}', "data/shop.jsonl:3: "),
    ],
)
def test_a_broken_row_is_named_by_its_line(tmp_path: Path, row: str | bytes, message: str) -> None:
    ok = b'{"prompt": "a", "completion": "b"}\n\n'
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, ok + (row.encode() if isinstance(row, str) else row))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data/shpo.jsonl", "shop.yaml:1: examples.from: data/shpo.jsonl cannot be read"),
        ("../x.jsonl", "lies outside the service's folder"),
        ("/etc/passwd", "lies outside the service's folder"),
        ("data", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, shop=f"examples: {{from: {name}}}\n")
    assert message in caught.value.message


def test_an_empty_and_an_endless_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no rows"):
        load(tmp_path, "\n")
    with pytest.raises(ConfigError, match="has 2001 rows; at most 2000"):
        load(tmp_path, '{"prompt": "a", "completion": "b"}\n' * 2001)


def test_a_turn_gets_as_many_as_are_wanted_and_fit(tmp_path: Path) -> None:
    rows = "".join(
        msgspec.json.encode({"prompt": f"q{i}", "completion": "x" * 60 * i}).decode() + "\n"
        for i in range(1, 13)
    )
    assert len(asked(load(tmp_path, rows), "en")) == 8
    assert asked(load(tmp_path, rows, "examples: {from: data/shop.jsonl, most: 2}"), "en") == [
        "q1",
        "q2",
    ]
    few = load(tmp_path, rows, "examples: {from: data/shop.jsonl, max_tokens: 120}")
    assert asked(few, "en") == ["q1", "q2"]


def test_the_rows_are_part_of_the_version(tmp_path: Path) -> None:
    before = load(tmp_path).digest
    assert load(tmp_path).digest == before
    assert load(tmp_path, GOOD.replace("Hello!", "Hey!")).digest != before


def test_a_changed_dataset_is_noticed(tmp_path: Path) -> None:
    load(tmp_path)
    files = ServiceFiles(tmp_path)
    before = files.fingerprint()
    (tmp_path / "data" / "shop.jsonl").write_text(GOOD + GOOD)
    assert files.fingerprint() != before


def test_examples_of_the_file_come_before_those_of_the_dataset(tmp_path: Path) -> None:
    shop = "examples:\n  from: data/shop.jsonl\n  entries: [{user: First, assistant: '1'}]\n"
    assert asked(load(tmp_path, shop=shop), "en") == ["First", "Hi"]
