"""The page of backends keeps up with the table of presets."""

from pathlib import Path

import msgspec
import pytest

from headrace.models.azure.backend import AzureOpenAISettings
from headrace.models.openai.backend import OpenAISettings
from headrace.models.openai.preset import PRESETS
from headrace.models.openai.quirk import Quirks
from headrace.models.remote import RemoteSettings

PAGE = (Path(__file__).parents[3] / "docs" / "backends.md").read_text("utf-8")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_in_the_page(name: str) -> None:
    preset = PRESETS[name]
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert f"`{preset.base_url}`" in row or not preset.base_url
    assert f"`{preset.key_variable}`" in row or not preset.key_variable
    assert preset.page in row
    for parameter in preset.quirks.unsupported:
        assert f"`{parameter}`" in row


@pytest.mark.parametrize("kind", [Quirks, OpenAISettings, AzureOpenAISettings])
def test_every_setting_is_in_the_page(kind: type[msgspec.Struct]) -> None:
    ours = [each.name for each in msgspec.structs.fields(kind)]
    common = set() if kind is Quirks else {e.name for e in msgspec.structs.fields(RemoteSettings)}
    missing = [name for name in ours if name not in common and f"`{name}`" not in PAGE]
    assert not missing


def test_every_preset_is_installed_as_a_backend() -> None:
    from importlib.metadata import entry_points

    installed = {each.name: each.value for each in entry_points(group="headrace.backends")}
    for name in PRESETS:
        assert installed[name] == f"headrace.models.openai.backend:{name}"
