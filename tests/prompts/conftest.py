from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate


@pytest.fixture
def template_from(tmp_path: Path) -> Callable[[str], PromptTemplate]:
    """Loads a template through a real folder, as a service does."""

    def load(text: str) -> PromptTemplate:
        (tmp_path / "prompts").mkdir(exist_ok=True)
        (tmp_path / "prompts" / "shop.yaml").write_text(dedent(text), encoding="utf-8")
        return PromptLibrary.load(tmp_path, {}).get("shop")

    return load
