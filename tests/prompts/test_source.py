"""A template written out is the same template."""

from pathlib import Path

import msgspec
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.node import parse_yaml
from headrace.prompts.reader import read_template
from headrace.prompts.source import source_of

TEXT = st.text(
    alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="{}\ufeff"),
    max_size=30,
) | st.sampled_from(["yes", "1e3", "0o7", "null", "~", "${A}", "a\nb", " x ", "# no", "- a", "\n"])


@given(description=TEXT, user=TEXT, answer=TEXT, contains=st.lists(TEXT, max_size=3))
def test_it_comes_back_with_its_digest(
    description: str, user: str, answer: str, contains: list[str]
) -> None:
    written = yaml.safe_dump(
        {
            "description": description.replace("${", "$${"),
            "examples": [
                {"user": user.replace("${", "$${"), "assistant": answer.replace("${", "$${")}
            ],
            "tests": [
                {"user": "x", "expect": {"contains": [c.replace("${", "$${") for c in contains]}}
            ],
        },
        allow_unicode=True,
        default_style='"',
    )
    once = read_template(parse_yaml(written, "a", {}, root=Path()), "shop", Path())
    again = read_template(parse_yaml(source_of(once.file), "b", {}, root=Path()), "shop", Path())
    assert again.digest == once.digest
    assert msgspec.to_builtins(again.file) == msgspec.to_builtins(once.file)
    assert once.file.description == description
