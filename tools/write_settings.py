"""Writes what the classes say about every setting: `python tools/write_settings.py`.

The tables and errors in docs/configuration.md between their marks, and docs/schema/*.json. With
`--check` nothing is written, and the exit status says whether all is current.
"""

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace.access.limits.config import LimitsConfig, RedisConfig, RuleConfig
from headrace.cli.schema import KINDS, schema_of
from headrace.config.allowed import allowed
from headrace.config.field_doc import class_doc, field_docs
from headrace.config.kind import alternatives
from headrace.config.load import parse_service
from headrace.config.model import (
    AdapterConfig,
    ConversationsConfig,
    ParamsConfig,
    PlaceConfig,
    PriceConfig,
    RequireConfig,
    RouteConfig,
    ServerConfig,
    TlsConfig,
    TracesConfig,
)
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.entities.settings import EntitiesSettings, Entity
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.settings import KnowledgeSection, RetrievalSettings, SourceSettings
from headrace.models.backend_type import backend_types
from headrace.models.balance.settings import (
    BalanceSettings,
    HealthSettings,
    HedgeSettings,
    QueueSettings,
    RetrySettings,
)
from headrace.models.cache.settings import CacheRedisSettings, CacheSettings, SemanticSettings
from headrace.pipeline.compile import step_types
from headrace.pipeline.steps.check.grounded import GroundedSettings
from headrace.pipeline.steps.ground.lookup import KnowledgeSettings
from headrace.pipeline.tools.settings import (
    HttpToolSettings,
    McpSettings,
    RetrievalToolSettings,
    ToolSettings,
)
from headrace.prompts.choice.settings import ChooseSettings, ClassifierSettings, RuleSettings
from headrace.releases.settings import ReleaseSettings
from headrace.workflows.file import (
    QueueFile,
    Resources,
    ScheduleFile,
    StepFile,
    TriggerFile,
    VariableFile,
    WorkflowFile,
)
from headrace.workflows.operation import operation_types
from headrace.workflows.tuning.settings import TuningSettings

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "configuration.md"
SCHEMA_FILES = {
    "service": "headrace.schema.json",
    "prompt": "prompt.schema.json",
    "policy": "policy.schema.json",
    "catalogue": "catalogue.schema.json",
    "suite": "suite.schema.json",
    "workflow": "workflow.schema.json",
}
SERVICE = """\
models:
  small:
    deployments:
      - backend: embedded
        weights: file:small.gguf
pipeline:
  - generate
"""
MISTAKES = (
    "server:\n  prot: 8080\n",
    "server:\n  port: 80800\n",
    "traces:\n  content: yes\n",
    "traces:\n  otlp_headers:\n    authorization: ${OTLP_TOKE}\n",
    "server: {port: 80}\nserver: {host: 0.0.0.0}\n",
    "  - refine: {typography: autto}\n",
)


def tables() -> Iterator[str]:
    """A table for each group of settings."""
    yield from _table("server", "`server:`", ServerConfig)
    yield from _table("server.tls", "`server.tls:`", TlsConfig)
    yield from _table("traces", "`traces:`", TracesConfig)
    yield from _table("conversations", "`conversations:`", ConversationsConfig)
    yield from _table("models.NAME.deployments[]", "Every deployment", PlaceConfig)
    yield from _table("models.NAME", "A model with an adapter (`models.NAME:`)", AdapterConfig)
    yield from _table("models.NAME.balance", "`models.NAME.balance:`", BalanceSettings)
    for part in (QueueSettings, RetrySettings, HealthSettings, HedgeSettings):
        group = part.__name__.removesuffix("Settings").lower()
        path = f"models.NAME.balance.{group}"
        yield from _table(path, f"`{path}:`", part)
    yield from _table("routes.NAME", "`routes.NAME:`", RouteConfig)
    yield from _table("routes.NAME.require", "`routes.NAME.require:`", RequireConfig)
    yield from _table(
        "limits.rules[]", "`limits:` (a list of rules, or `limits.rules:`)", RuleConfig
    )
    yield from _table("limits", "`limits:` with more than rules", LimitsConfig)
    yield from _table("limits.redis", "`limits.redis:`", RedisConfig)
    yield from _table("cache", "`cache:`", CacheSettings)
    yield from _table("cache.semantic", "`cache.semantic:`", SemanticSettings)
    yield from _table("cache.redis", "`cache.redis:`", CacheRedisSettings)
    yield from _table("knowledge", "`knowledge:`", KnowledgeSection)
    yield from _table("knowledge.sources[]", "`knowledge.sources:`", SourceSettings)
    yield from _table("knowledge.chunk", "`knowledge.chunk:`", ChunkSettings)
    yield from _table("knowledge.read", "`knowledge.read:`", ReadSettings)
    yield from _table("knowledge.retrieval", "`knowledge.retrieval:`", RetrievalSettings)
    yield from _table("tools.NAME", "`tools.NAME:`", ToolSettings)
    yield from _table("tools.NAME.retrieval", "`tools.NAME.retrieval:`", RetrievalToolSettings)
    yield from _table("tools.NAME.http", "`tools.NAME.http:`", HttpToolSettings)
    yield from _table("tools.NAME.mcp", "`tools.NAME.mcp:`", McpSettings)
    yield from _table("fine_tuning", "`fine_tuning:`", TuningSettings)
    yield from _table("entities", "`entities:`", EntitiesSettings)
    yield from _table("entities.names[]", "`entities.names:` (or `entities:` as a list)", Entity)
    yield from _table("releases", "`releases:`", ReleaseSettings)
    yield from _table("models.NAME.params", "`models.NAME.params:`", ParamsConfig)
    yield from _table("models.NAME.price", "`models.NAME.price:`", PriceConfig)
    for name, backend in sorted(backend_types().items()):
        yield from _table("", f"A deployment with `backend: {name}`", backend.Settings)
    for name, (step, _) in sorted(step_types().items()):
        more = f" ([more](steps/{name}.md))" if (DOCS / "steps" / f"{name}.md").exists() else ""
        yield from _table("", f"The step `{name}`{more}", step.Settings)
    yield from _table("ground.knowledge", "`knowledge:` of the step `ground`", KnowledgeSettings)
    yield from _table("template.choose", "`choose:` of the step `template`", ChooseSettings)
    yield from _table("template.choose.rules[]", "`template.choose.rules:`", RuleSettings)
    path = "template.choose.classifier"
    yield from _table(path, f"`{path}:`", ClassifierSettings)
    yield from _table("", "A workflow (`workflows/NAME.yaml`)", WorkflowFile)
    for path, part in (
        ("steps.NAME", StepFile),
        ("steps.NAME.resources", Resources),
        ("variables.NAME", VariableFile),
        ("schedule[]", ScheduleFile),
        ("triggers[]", TriggerFile),
        ("queue", QueueFile),
    ):
        yield from _table(path, f"`{path}:` of a workflow", part)
    for name, operation in operation_types().items():
        if name != "train":  # a recipe, as docs/training.md has it
            yield from _table("", f"The operation `{name}` of workflows", operation.Settings)
    yield from _table("check.grounded", "`grounded:` of the step `check`", GroundedSettings)


def _table(group: str, title: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    yield f"### {title}"
    if not (doc := class_doc(kind)).startswith("Settings of "):
        yield doc + "\n"
    docs, fields = field_docs(kind), msgspec.structs.fields(kind)
    if not fields:
        yield "It has no settings.\n"
        return
    yield "| setting | takes | default | |"
    yield "|---|---|---|---|"
    for field in fields:
        name = f"{group}.{field.encode_name}" if group else field.encode_name
        cells = (f"`{name}`", allowed(field.type), _default(field), docs[field.encode_name])
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    if value is None and types.NoneType in alternatives(field.type):
        return "absent"
    return f"`{msgspec.json.encode(value).decode()}`".replace('"', "").replace(",", ", ")


def errors() -> Iterator[str]:
    """What is said about each mistake, put behind the least service."""
    for mistake in MISTAKES:
        yield "```yaml"
        yield mistake + "```"
        yield "```text"
        try:
            node = parse_yaml(SERVICE + mistake, "headrace.yaml", {"OTLP_TOKEN": "x"}, root=Path())
            for step in parse_service(node, Path(), builtin=False).pipeline:
                step.settings.convert(step_types()[step.name][0].Settings)
        except ConfigError as error:
            yield f"error: {error.message}"
            if error.hint:
                yield f"hint: {error.hint}"
        yield "```\n"


def placed(page: str, name: str, lines: Iterator[str]) -> str:
    """The page with the lines between the marks of that name."""
    begin, end = f"<!-- {name}: written by tools/write_settings.py -->", f"<!-- {name}: end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    text = "\n".join(lines).strip()
    changed, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", page)
    if count != 1:
        raise ValueError(f"{PAGE} lacks the marks of {name!r}")
    return changed


def contents() -> dict[Path, str]:
    """What every written file should hold now."""
    page = placed(PAGE.read_text("utf-8"), "settings", tables())
    found = {PAGE: placed(page, "errors", errors())}
    for kind in KINDS:
        schema = msgspec.json.format(msgspec.json.encode(schema_of(kind)), indent=2)
        found[DOCS / "schema" / SCHEMA_FILES[kind]] = schema.decode() + "\n"
    return found


def main(arguments: list[str]) -> int:
    stale = [
        path
        for path, text in contents().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path} is not current; run: python tools/write_settings.py\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(contents()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
