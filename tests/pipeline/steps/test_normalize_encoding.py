import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.pipeline.steps.normalize.encoding import repair_encoding

PROMPTS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "prompts.json").read_text("utf-8")
)
ALL = [prompt for prompts in PROMPTS.values() for prompt in prompts]


def misread(data: bytes, encoding: str) -> str:
    """As a browser decodes: bytes that the encoding does not know come through as they are."""
    out = ""
    for byte in data:
        try:
            out += bytes([byte]).decode(encoding)
        except UnicodeDecodeError:
            out += chr(byte)
    return out


def utf8_as(encoding: str) -> Callable[[str], str]:
    return lambda text: misread(text.encode(), encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_utf8_read_as_western_is_put_right_in_every_language(encoding: str) -> None:
    missed = [prompt for prompt in ALL if repair_encoding(utf8_as(encoding)(prompt))[0] != prompt]
    # A single letter of two bytes may look like a capital before a quotation mark.
    assert len(missed) <= 2, missed


def test_damage_done_twice_is_undone() -> None:
    twice = utf8_as("cp1252")(utf8_as("cp1252")("Où est l'été déjà passé ?"))
    assert repair_encoding(twice)[0] == "Où est l'été déjà passé ?"


def test_utf8_read_as_windows_1251_is_put_right() -> None:
    russian = PROMPTS["ru"] + PROMPTS["uk"]
    assert [repair_encoding(utf8_as("cp1251")(each))[0] for each in russian] == russian


@pytest.mark.parametrize("text", ["你好，世界！", "天空为什么是蓝色的", "写一首关于秋天的短诗。"])
def test_chinese_read_as_western_or_the_reverse_is_put_right(text: str) -> None:
    assert repair_encoding(text.encode("gbk").decode("latin-1"))[0] == text


def test_utf8_read_as_gbk_is_put_right() -> None:
    assert repair_encoding("你好世界".encode().decode("gbk")) == ("你好世界", 1)


@pytest.mark.parametrize("text", ALL)
def test_undamaged_text_stays(text: str) -> None:
    assert repair_encoding(text) == (text, 0)


@pytest.mark.parametrize(
    "text",
    [
        "À côté de l’été, il a dit « NON »…",
        "CAFÉ… Ö“ sagte er, ÄÖÜ äöüß, Ä…",
        "NÃO, PÃO DE AÇÚCAR, ÂGE, IÑTËRNÂTIÔNÀLIZÆTIØN",
        "Ð”Ð” Î” £££££££ °°°°°° ÉÉÉÉÉÉ ÃÃÃÃ",
        "РС Россия, АРСЕНАЛ, РСФСР",
        "锦绣江山 镶嵌 锟斤拷 联通",
        "½¼¾ ©®™ ±5° ¿Qué? ¡OLÉ! “É” ‘À’",
    ],
)
def test_text_that_only_looks_damaged_stays(text: str) -> None:
    assert repair_encoding(text) == (text, 0)
