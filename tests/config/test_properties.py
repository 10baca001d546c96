"""Whatever the text, a file gives values or one error that names a place in it."""

import re
from pathlib import Path

import msgspec
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.config.load import parse_service
from headrace.config.model import ServiceConfig
from headrace.config.node import Node, parse_yaml
from headrace.errors import ConfigError
from headrace.models.embedded.backend import EmbeddedSettings
from headrace.pipeline.steps.refine.step import RefineSettings
from tests.config.conftest import SERVICE

ENVIRON = {"PORT": "8080", "LIST": "[a", "DATE": "2024-99-99", "NAME": "名"}

WORDS = "name models pipeline traces server port small deployments backend embedded generate refine"
MARKS = (
    ": |:|- |\n|\n  |\n    |\t|{|}|[|]|,|&a |*a|!!int |!!binary |!x |<<: |? |>\n|'|\"|#|---\n|..."
)
VALUES = (
    "${PORT} ${LIST} ${DATE} ${ $${ ${file:x} 8080 -1 1e400 .nan true ~ \\0 \\ud800 \0 \ud800 中文"
)
PIECES = st.sampled_from([*WORDS.split(), *MARKS.split("|"), *VALUES.split(" "), "\u2028", "| "])


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A sound service with some pieces put in and some characters taken out."""
    text = SERVICE + "server:\n  host: a\n  port: ${PORT}\ntraces: {otlp_headers: {a: b}}\n"
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(PIECES) + text[at + draw(st.integers(0, 3)) :]
    return text


TEXTS = damaged() | st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80)


def read(text: str) -> ServiceConfig:
    """As much as text alone decides."""
    config = parse_service(
        parse_yaml(text, "f.yaml", ENVIRON, root=Path("/nowhere")), Path(), builtin=False
    )
    for model in config.models.values():
        model.deployments[0].settings.convert(EmbeddedSettings)
    for step in config.pipeline:
        step.settings.convert(RefineSettings)
    return config


@given(TEXTS)
@example("a: !!int x")
@example("a: !!timestamp 2024-99-99")
@example("a: !!float ''")
@example("? &a [*a]\n: b")
@example("server: {port: '${LIST}'}")
@example("\r\n\x85- [")
@settings(max_examples=400)
def test_any_text_is_a_service_or_an_error_that_names_a_line_in_it(text: str) -> None:
    try:
        read(text)
    except ConfigError as error:
        place = re.match(r"f\.yaml:(\d+): .", error.message)
        assert place is not None, error.message
        assert 1 <= int(place[1]) <= len(re.split("\r\n|\r|\n", text))


@given(
    before=st.integers(0, 20), inside=st.integers(0, 3), wrong=st.sampled_from(["x", "[]", "-1"])
)
def test_the_line_is_that_of_the_value(before: int, inside: int, wrong: str) -> None:
    text = "# 一\n" * before + SERVICE + "server:\n" + "\n" * inside + f"  port: {wrong}\n"
    try:
        read(text)
    except ConfigError as error:
        assert error.message.startswith(f"f.yaml:{before + 8 + inside + 1}: server.port: ")
    else:
        raise AssertionError(text)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])).filter(lambda text: "${" not in text),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcdef名.- ", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc", min_size=1), PLAIN, min_size=1))
def test_values_come_back_as_they_were_written(value: dict[str, object]) -> None:
    text = msgspec.json.encode(value).decode()
    assert parse_yaml(text, "f", {}, root=Path()).value == value
    spread = yaml.safe_dump(value, allow_unicode=True)
    lines = spread.split("\n")
    node = parse_yaml(spread, "f", {}, root=Path())
    for key in value:
        assert lines[node.line(key) - 1].lstrip("? ").startswith(key), "the line of a key"
    assert isinstance(node, Node)
