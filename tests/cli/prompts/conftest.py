"""A folder whose home has the weights, so that commands can ask the real model."""

from pathlib import Path

import pytest

SHOP = """\
description: Answers customers.
variables: {shop: {description: Its name., default: Acme}}
messages: {system: 'You work for {{ shop }}. Answer briefly.'}
params: {max_tokens: 24}
tests:
  - {name: It knows its shop, user: Say hello., language: en, expect: {min_chars: 1}}
  - {name: It sings, user: What is the capital of France?, language: en, expect: {contains: [Tralala]}}
  - {name: It paints, user: Paint., requires: {tasks: [vision]}, expect: {contains: [x]}}
"""


@pytest.fixture
def shop(folder: Path, weights_folder: Path) -> Path:
    """The file of a template; one of its tests fails, one is skipped."""
    home = folder / ".headrace"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    (folder / "prompts").mkdir()
    path = folder / "prompts" / "shop.yaml"
    path.write_text(SHOP, encoding="utf-8")
    return path
