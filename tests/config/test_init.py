import shutil
import subprocess
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from headrace.config.init import write_service
from headrace.config.load import load_service
from headrace.config.schema import Schema, service_schema, struct_schema
from headrace.errors import ConfigError
from headrace.evaluation.suite import SuiteFile
from headrace.models.catalogue.entry import CatalogueFile
from headrace.prompts.file import PromptFile
from headrace.prompts.library import PromptLibrary
from headrace.screening.policy import PolicyFile, PolicyLibrary

Settings = dict[str, type[msgspec.Struct]]

WRITTEN = {
    ".gitignore",
    "README.md",
    "headrace.yaml",
    "policies/default.yaml",
    "prompts/assistant.yaml",
    "schema/catalogue.json",
    "schema/suite.json",
    "schema/headrace.json",
    "schema/policy.json",
    "schema/prompt.json",
}


@pytest.fixture(scope="session")
def schemas(step_settings: Settings, backend_settings: Settings) -> dict[str, Schema]:
    return {
        "service": service_schema(step_settings, backend_settings),
        "prompt": struct_schema(PromptFile, "prompts/*.yaml"),
        "policy": struct_schema(PolicyFile, "policies/*.yaml"),
        "catalogue": struct_schema(CatalogueFile, "catalogue.yaml"),
        "suite": struct_schema(SuiteFile, "evals/*.yaml"),
    }


def test_a_starting_service_is_written_and_loads(
    tmp_path: Path, schemas: dict[str, Schema], step_settings: Settings
) -> None:
    started = write_service(tmp_path / "new", schemas)
    assert {path.relative_to(started.folder).as_posix() for path in started.written} == WRITTEN
    assert started.kept == []
    config = load_service(started.folder, {})
    assert not config.builtin
    for step in config.pipeline:
        step.settings.convert(step_settings[step.name])
    PromptLibrary.load(started.folder, {}).get("assistant")
    PolicyLibrary.load(started.folder, {}).get("default")


def test_it_starts_with_what_the_built_in_assistant_does(
    tmp_path: Path, schemas: dict[str, Schema]
) -> None:
    write_service(tmp_path / "new", schemas)
    mine, builtin = load_service(tmp_path / "new", {}), load_service(tmp_path / "none", {})
    assert [step.name for step in mine.pipeline] == [step.name for step in builtin.pipeline]
    for name, model in builtin.models.items():
        assert mine.models[name].params == model.params
        assert (
            mine.models[name].deployments[0].settings.value == model.deployments[0].settings.value
        )
    assert (mine.name, mine.server, mine.traces) == (builtin.name, builtin.server, builtin.traces)


@pytest.mark.parametrize(
    "name", ["headrace.yaml", "prompts/assistant.yaml", "policies/default.yaml"]
)
def test_each_file_names_the_schema_that_it_fits(
    name: str, tmp_path: Path, schemas: dict[str, Schema]
) -> None:
    write_service(tmp_path, schemas)
    path = tmp_path / name
    first = path.read_text(encoding="utf-8").splitlines()[0]
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    jsonschema.validate(
        yaml.safe_load(path.read_text("utf-8")), msgspec.json.decode(schema.read_bytes())
    )


def test_what_is_commented_out_works_when_it_is_put_in(
    tmp_path: Path, schemas: dict[str, Schema], step_settings: Settings
) -> None:
    write_service(tmp_path, schemas)
    for name in ("headrace.yaml", "prompts/assistant.yaml", "policies/default.yaml"):
        path = tmp_path / name
        path.write_text(_uncommented(path.read_text("utf-8")), encoding="utf-8")
    config = load_service(tmp_path, {"OTLP_TOKEN": "x"})
    assert config.conversations.retention_days == 90
    assert config.traces.otlp_headers == {"authorization": "x"}
    price = config.models["smollm2-135m"].price
    assert price is not None
    assert price.output == 0.6
    assert PromptLibrary.load(tmp_path, {}).get("assistant").reasoning is not None
    assert "term.competitors" in PolicyLibrary.load(tmp_path, {}).get("default").input.rules


def _uncommented(text: str) -> str:
    """The text with every commented-out setting put in, and the step it repeats taken out."""
    lines = []
    for line in text.splitlines():
        bare = line.lstrip()
        setting = bare.removeprefix("# ") if bare.startswith("# ") else ""
        indent = line[: len(line) - len(bare)]
        if setting.startswith(("- ", "  ")) or (
            setting.split(":")[0].isidentifier() and ":" in setting
        ):
            lines.append(indent + setting)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def test_nothing_that_is_there_is_overwritten(tmp_path: Path, schemas: dict[str, Schema]) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    started = write_service(tmp_path, schemas)
    assert {path.name for path in started.kept} == {"README.md", ".gitignore"}
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_holds_a_service_is_left_alone(
    tmp_path: Path, schemas: dict[str, Schema]
) -> None:
    (tmp_path / "headrace.yaml").write_text("name: mine\n")
    with pytest.raises(ConfigError, match="holds a service already"):
        write_service(tmp_path, schemas)
    assert [path.name for path in tmp_path.iterdir()] == ["headrace.yaml"]


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path, schemas: dict[str, Schema]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written: ") as caught:
        write_service(tmp_path / "file", schemas)
    assert "headrace init DIR" in caught.value.hint


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_never_sees_the_state_folder(tmp_path: Path, schemas: dict[str, Schema]) -> None:
    write_service(tmp_path, schemas)
    (tmp_path / ".headrace").mkdir()
    (tmp_path / ".headrace" / "admin.key").write_text("secret")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    listed = subprocess.run(
        ["git", "status", "--short", "--untracked-files=all"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert ".headrace" not in listed
    assert "schema/headrace.json" in listed
