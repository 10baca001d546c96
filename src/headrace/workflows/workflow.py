"""A workflow: its file, read and found sound before anything runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path, PurePosixPath

import msgspec

from headrace.config.node import Node, load_yaml, parse_yaml, shown_path
from headrace.errors import ConfigError, InvalidRequest, did_you_mean
from headrace.workflows.errors import UnknownWorkflow
from headrace.workflows.expression import Expression, ExpressionError, references
from headrace.workflows.file import QueueFile, StepFile, VariableFile, WorkflowFile
from headrace.workflows.operation import Operation, operation_names, operation_type
from headrace.workflows.plan import Cycle, Plan, make_plan, ordered

__all__ = [
    "FOLDER",
    "Workflow",
    "condition",
    "find_workflow",
    "kept_workflow",
    "parse_workflow",
    "read_workflow",
    "workflow_paths",
]

FOLDER = "workflows"
"""In the service's folder, and in its state."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_STEP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
_RUN_FIELDS = ("id", "workflow", "trigger", "who", "started_at")
_ROOTS = ("vars", "steps", "matrix", "run", "inputs", "outputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow, ready to be planned."""

    name: str
    file: WorkflowFile
    text: str
    """The file as it is written: a run keeps it, and goes on with it after later edits."""
    path: str
    """Where it was read, as the user would type it."""
    needs: Mapping[str, Sequence[str]]
    """The steps that each step needs, by name."""
    is_builtin: bool = False

    @property
    def queue(self) -> QueueFile:
        return self.file.queue or QueueFile(name=self.name)

    @property
    def runs_by_itself(self) -> bool:
        return bool(self.file.schedule or self.file.triggers)

    def variables(self, given: Mapping[str, object]) -> dict[str, object]:
        """Every variable of a run.

        Raises:
            InvalidRequest: one is unknown, missing, or not among its choices.
        """
        declared = {name: _variable(each) for name, each in self.file.variables.items()}
        for name in given:
            if name not in declared:
                raise InvalidRequest(
                    f"the workflow {self.name!r} has no variable {name!r}",
                    hint=did_you_mean(name, declared, kind="variables"),
                    param=name,
                )
        found = {name: given.get(name, each.default) for name, each in declared.items()}
        for name, value in found.items():
            if value is None:
                raise InvalidRequest(
                    f"the variable {name!r} of {self.name!r} has no default",
                    hint=f"give it: --var {name}=…",
                    param=name,
                )
            choices = declared[name].choices
            if choices and value not in choices:
                listed = ", ".join(map(repr, choices))
                raise InvalidRequest(
                    f"{name}: {value!r} is none of {listed}", hint="choose one of them", param=name
                )
        return found

    def plan(self, variables: Mapping[str, object]) -> Plan:
        """The steps of a run.

        Raises:
            ConfigError: a matrix comes to nothing that can be run.
        """
        try:
            return make_plan(self.file.steps, self.needs, variables)
        except ExpressionError as error:
            raise ConfigError(f"{self.path}: {error}") from None


def workflow_paths(root: Path) -> dict[str, Path]:
    """Every file by the workflow's name: those of the package, and those of the folder over them."""
    package = Path(str(files("headrace.workflows") / "builtin"))
    found = {path.stem: path for path in sorted(package.glob("*.yaml"))}
    found |= {path.stem: path for path in sorted((root / FOLDER).glob("*.yaml"))}
    return found


def find_workflow(name: str, root: Path, environ: Mapping[str, str]) -> Workflow:
    """The workflow of that name.

    Raises:
        UnknownWorkflow: no file has that name.
        ConfigError: the file is wrong.
    """
    paths = workflow_paths(root)
    if name not in paths:
        raise UnknownWorkflow.named(name, paths)
    return read_workflow(paths[name], environ, root)


def read_workflow(path: Path, environ: Mapping[str, str], root: Path) -> Workflow:
    """The workflow of one file.

    Raises:
        ConfigError: with file, line and field.
    """
    node = load_yaml(path, environ)
    text = path.read_text("utf-8-sig")
    is_builtin = not path.resolve().is_relative_to(root.resolve())
    shown = f"builtin/{path.name}" if is_builtin else shown_path(path)
    return parse_workflow(node, path.stem, text, path=shown, is_builtin=is_builtin)


def kept_workflow(name: str, text: str, environ: Mapping[str, str], root: Path) -> Workflow:
    """The workflow as a run has kept it."""
    return parse_workflow(parse_yaml(text, f"{name}.yaml", environ, root=root), name, text)


def parse_workflow(
    node: Node, name: str, text: str, *, path: str = "", is_builtin: bool = False
) -> Workflow:
    """The workflow of a file that was read.

    Raises:
        ConfigError: with file, line and field.
    """
    if node.is_empty_file:
        raise node.error("the file is empty", hint="a workflow has `steps:`")
    if not _NAME.match(name):
        raise node.error(
            f"{name!r} cannot be a workflow's name",
            hint="name the file with small letters, digits, `-` and `_`",
        )
    file = node.convert(WorkflowFile)
    for step_name, step in file.steps.items():
        if not _STEP_NAME.match(step_name):
            raise node.error(
                f"{step_name!r} cannot be a step's name: expressions name it",
                "steps",
                step_name,
                hint="letters, digits and `_`, beginning with a letter",
            )
        _check_step(node, step_name, step, file)
    needs = {each: _needs(node, each, file) for each in file.steps}
    try:
        ordered(needs)
    except Cycle as cycle:
        raise node.error(
            f"steps wait for each other: {cycle}",
            "steps",
            cycle.names[0],
            hint="take one of them out of `needs`, or one `{{ steps.… }}` away",
        ) from None
    _check_occasions(node, file)
    return Workflow(
        name=name,
        file=file,
        text=text,
        path=path or node.file,
        needs=needs,
        is_builtin=is_builtin,
    )


def _variable(value: object) -> VariableFile:
    if isinstance(value, VariableFile):
        return value
    return msgspec.convert({"default": value}, VariableFile)


def _check_step(node: Node, name: str, step: StepFile, file: WorkflowFile) -> None:
    at = ("steps", name)
    if step.operation not in operation_names():
        raise node.error(
            f"there is no operation {step.operation!r}",
            *at,
            "operation",
            hint=did_you_mean(step.operation, operation_names(), kind="operations"),
        )
    operation = operation_type(step.operation)
    _check_parameters(node, at, step, operation)
    for mistake in operation.mistakes(step.parameters):
        raise node.error(mistake.message, *at, "parameters", *mistake.at, hint=mistake.hint)
    for need in step.needs:
        if need not in file.steps:
            raise node.error(
                f"there is no step {need!r}",
                *at,
                "needs",
                hint=did_you_mean(need, file.steps, kind="steps"),
            )
    for output, path in {**operation.writes, **step.outputs}.items():
        plain = PurePosixPath(path)
        if plain.is_absolute() or ".." in plain.parts or not plain.parts:
            raise node.error(
                f"{path!r} does not lie below the step's folder", *at, "outputs", output
            )
    for way, expression, scope in _expressions(step):
        _check_expression(node, (*at, *way), expression, scope, step, file)


def _check_parameters(
    node: Node, at: tuple[str, str], step: StepFile, operation: type[Operation]
) -> None:
    """The operation's settings, as far as they stand there; the rest is checked when it is known."""
    fields: list[tuple[str, object] | tuple[str, object, object]] = []
    for each in msgspec.structs.fields(operation.Settings):
        kind = each.type
        value = step.parameters.get(each.encode_name)
        if value is not None and any(references(value)):
            kind = object
        if each.required:
            fields.append((each.name, kind))
        elif each.default_factory is not msgspec.NODEFAULT:
            fields.append((each.name, kind, msgspec.field(default_factory=each.default_factory)))
        else:
            fields.append((each.name, kind, each.default))
    shape = msgspec.defstruct(
        operation.Settings.__name__, fields, kw_only=True, forbid_unknown_fields=True
    )
    there = node.child(*at)
    assert isinstance(there.value, dict)
    written = there.value.get("parameters")
    (there.child("parameters") if isinstance(written, dict) else there.empty()).convert(shape)


def _expressions(step: StepFile) -> Iterator[tuple[tuple[str | int, ...], Expression, str]]:
    for at, expression in references(step.parameters):
        yield ("parameters", *at), expression, "parameters"
    for at, expression in references(step.inputs):
        yield ("inputs", *at), expression, "inputs"
    for at, expression in references(step.matrix):
        yield ("matrix", *at), expression, "matrix"
    if step.when is not None:
        yield ("when",), condition(step.when), "when"


def condition(text: str) -> Expression:
    """The expression of `when:`, which may stand with or without braces."""
    plain = text.strip()
    if plain.startswith("{{") and plain.endswith("}}") and "{{" not in plain[2:]:
        plain = plain[2:-2]
    return Expression(plain)


def _check_expression(
    node: Node,
    at: tuple[str | int, ...],
    expression: Expression,
    scope: str,
    step: StepFile,
    file: WorkflowFile,
) -> None:
    try:
        found = list(expression.references)
    except ExpressionError as error:
        raise node.error(str(error), *at) from None
    scopes = {"parameters": _ROOTS, "matrix": ("vars",)}
    roots = scopes.get(scope, _ROOTS[:4])
    for path in found:
        root, *rest = path
        if root not in roots:
            raise node.error(
                f"{root!r} is not known here",
                *at,
                hint=did_you_mean(str(root), roots, kind="names"),
            )
        key = str(rest[0]) if rest else ""
        names = {
            "vars": list(file.variables),
            "steps": list(file.steps),
            "matrix": list(step.matrix),
            "run": list(_RUN_FIELDS),
            "inputs": list(step.inputs),
            "outputs": [*step.outputs, *operation_type(step.operation).writes],
        }[str(root)]
        if rest and key not in names:
            kind = {"vars": "variables"}.get(str(root), str(root))
            raise node.error(
                f"there is no {root}.{key}", *at, hint=did_you_mean(key, names, kind=kind)
            )
        if root == "steps" and len(rest) > 1:
            _check_result(node, at, key, str(rest[1]), file)


def _check_result(
    node: Node, at: tuple[str | int, ...], name: str, result: str, file: WorkflowFile
) -> None:
    step = file.steps[name]
    if step.operation not in operation_names():
        return  # said where that step stands
    operation = operation_type(step.operation)
    if operation.returns is None:
        return
    known = {"status", *operation.returns, *operation.writes, *step.outputs}
    if result not in known:
        raise node.error(
            f"the step {name!r} ({step.operation}) gives no {result!r}",
            *at,
            hint=did_you_mean(result, sorted(known), kind="results"),
        )


def _needs(node: Node, name: str, file: WorkflowFile) -> list[str]:
    step = file.steps[name]
    found = dict.fromkeys(step.needs)
    for _, expression, _ in _expressions(step):
        for path in expression.references:
            if path[0] == "steps" and len(path) > 1:
                found[str(path[1])] = None
    return list(found)


def _check_occasions(node: Node, file: WorkflowFile) -> None:
    from headrace.workflows.schedule import ScheduleWrong, times_between

    for i, each in enumerate(file.schedule):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        try:
            next(iter(times_between(each, now, now)), None)
        except ScheduleWrong as error:
            raise node.error(str(error), "schedule", i, error.field, hint=error.hint) from None
        _check_given(node, ("schedule", i), each.variables, file)
    for i, trigger in enumerate(file.triggers):
        kinds = [name for name in ("new_data", "drift", "commit") if getattr(trigger, name)]
        if len(kinds) != 1:
            said = " and ".join(kinds) or "nothing"
            raise node.error(
                f"a trigger has exactly one of new_data, drift and commit; here is {said}",
                "triggers",
                i,
                hint="write each as an entry of its own",
            )
        _check_given(node, ("triggers", i), trigger.variables, file)


def _check_given(
    node: Node, at: tuple[str | int, ...], given: Mapping[str, object], file: WorkflowFile
) -> None:
    for name in given:
        if name not in file.variables:
            raise node.error(
                f"there is no variable {name!r}",
                *at,
                "variables",
                name,
                hint=did_you_mean(name, file.variables, kind="variables"),
            )
    for name, value in file.variables.items():
        if name not in given and _variable(value).default is None:
            raise node.error(
                f"the variable {name!r} has no default, and nobody is there to give it",
                *at,
                hint=f"add `variables: {{{name}: …}}`",
            )
