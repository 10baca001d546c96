"""JSON Schema of `workflows/*.yaml`: each step's parameters by its operation.

What it cannot say: that a step, variable or result of a name exists, that nothing waits for itself,
and what an operation finds wrong beyond names and types. `headrace workflow validate` says it all.
"""

from collections.abc import Iterator

from headrace.config.struct_schema import DRAFT, Definitions, Schema
from headrace.workflows.file import WorkflowFile
from headrace.workflows.operation import operation_types

__all__ = ["workflow_schema"]

_EXPRESSION: Schema = {"$ref": "#/$defs/expression"}


def workflow_schema() -> Schema:
    """The schema, with the settings of every installed operation."""
    definitions = Definitions()
    top = definitions.add(WorkflowFile)
    of_file = set(definitions.found)
    cases = list(_cases(definitions))
    file, step = definitions.found["WorkflowFile"], definitions.found["StepFile"]
    assert isinstance(file, dict)
    file["properties"]["steps"]["minProperties"] = 1
    assert isinstance(step, dict)
    properties = step["properties"]
    properties["operation"] = {**properties["operation"], "enum": sorted(operation_types())}
    step["allOf"] = cases
    for name, found in definitions.found.items():
        if name not in of_file:
            _loosen(found)
    definitions.found["expression"] = {
        "type": "string",
        "pattern": r"\{\{.*\}\}",
        "description": "Filled in when the step begins: {{ vars.NAME }}, {{ steps.NAME.RESULT }}.",
    }
    return {"$schema": DRAFT, "title": "workflows/*.yaml", **top, "$defs": definitions.found}


def _cases(definitions: Definitions) -> Iterator[Schema]:
    """For each operation, what stands under `parameters:`."""
    for name, operation in operation_types().items():
        parameters = definitions.extended(operation.Settings)
        _loosen(parameters)
        then: Schema = {"properties": {"parameters": parameters}}
        if definitions.needs_settings(operation.Settings):
            then["required"] = ["parameters"]
        condition = {"properties": {"operation": {"const": name}}, "required": ["operation"]}
        yield {"if": condition, "then": then}


def _loosen(schema: object) -> None:
    """Let an expression stand for the value of any field."""
    assert isinstance(schema, dict)
    for name, found in schema.get("properties", {}).items():
        rest = {key: value for key, value in found.items() if key not in ("description", "default")}
        kept = {key: found[key] for key in ("description", "default") if key in found}
        if rest:
            schema["properties"][name] = {**kept, "anyOf": [rest, _EXPRESSION]}
