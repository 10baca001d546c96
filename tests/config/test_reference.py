import os
from pathlib import Path

import msgspec
import pytest

from headrace.config.node import parse_yaml
from headrace.config.reference import MAX_FILE_BYTES
from headrace.errors import ConfigError
from tests.config.conftest import SERVICE, Load


def text_of(text: str, root: Path, **environ: str) -> object:
    return parse_yaml(f"a: {text}", "f.yaml", environ, root=root).child("a").value


def test_a_reference_may_stand_anywhere_in_a_text(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("\ufeffs3cret\n")
    found = text_of("Bearer ${file:key.txt}-${ONE}${TWO}", tmp_path, ONE="1", TWO="二")
    assert found == "Bearer s3cret-1二"


def test_a_doubled_dollar_stands_for_the_characters(tmp_path: Path) -> None:
    assert text_of("$${NAME} costs $5, {x} ${", tmp_path) == "${NAME} costs $5, {x} ${"
    assert text_of("$$${NAME}", tmp_path) == "$${NAME}"


def test_what_is_filled_in_is_not_looked_through_again(tmp_path: Path) -> None:
    assert text_of("${A}", tmp_path, A="${B}", B="no") == "${B}"


def test_a_file_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("here")
    (tmp_path / "prompts").mkdir()
    assert text_of("${file:../outside}", tmp_path / "prompts") == "here"
    with pytest.raises(ConfigError, match=r"f\.yaml:1: a: \$\{file:outsid\}") as caught:
        text_of("${file:outsid}", tmp_path)
    assert caught.value.hint == "did you mean 'outside'?"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a\0b", "is not text"),
        (b"x" * (MAX_FILE_BYTES + 1), "is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        text_of("${file:key}", tmp_path)
    assert caught.value.message == f"f.yaml:1: a: ${{file:key}} {reason}"


def test_a_variable_of_stray_bytes_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the environment variable A is not UTF-8 text"):
        text_of("${A}", tmp_path, A=os.fsdecode(b"\xff"))


def test_references_that_fill_memory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * 900_000)
    with pytest.raises(ConfigError, match=r"^f:5: \[4\]: filled in, the file holds more than"):
        parse_yaml("- ${file:long}\n" * 10, "f", {}, root=tmp_path)


def test_a_reference_is_a_number_where_a_number_is_asked_for_and_text_elsewhere(load: Load) -> None:
    config = load(
        SERVICE
        + """\
traces:
  content: ${YES}
  retention_days: ${SHARE}
  otlp_headers: {authorization: "${TOKEN}"}
server:
  host: ${TOKEN}
  port: ${PORT}
"""
    )
    assert config.server.port == 8081
    assert config.server.host == "1234567"
    assert config.traces.otlp_headers == {"authorization": "1234567"}
    assert config.traces.content is True
    assert config.traces.retention_days == 0.5


def test_quoted_text_that_is_no_reference_is_no_number(load: Load) -> None:
    with pytest.raises(ConfigError, match="expected a whole number from 0 to 65535, found '8080'"):
        load(SERVICE + 'server: {port: "8080"}')


class Section(msgspec.Struct):
    """Refuses in its own words, which quote the value."""

    text: str

    def __post_init__(self) -> None:
        raise ValueError(f"{self.text} is not good")


def test_a_class_that_quotes_a_secret_does_not_give_it_away(tmp_path: Path) -> None:
    node = parse_yaml("text: ${KEY}", "f.yaml", {"KEY": "sk-1234567"}, root=tmp_path)
    with pytest.raises(ConfigError) as caught:
        node.convert(Section)
    assert caught.value.message == "f.yaml:1: ${KEY} is not good"
