"""Workflows: what there is to run, each as a graph, and every run with what came of its steps.

For administrators: a run's values and errors may tell what is nobody else's business. A run is
made, ended and decided here; the process of the service that runs workflows does the rest.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import RedirectResponse, Response

from headrace.config.scalar import scalar
from headrace.console.form import read_form
from headrace.console.graph import Graph
from headrace.console.visit import Visit
from headrace.errors import ConfigError, PermissionDenied
from headrace.workflows.file import VariableFile
from headrace.workflows.run import Run, StepRun
from headrace.workflows.state import ENDED
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import Workflow, find_workflow, kept_workflow, workflow_paths

__all__ = ["act_on_run", "show_run", "show_workflow", "show_workflows", "start_run"]

_FORM_BYTES = 64 * 1024
MOST_RUNS = 30
_WORST = ("failed", "blocked", "cancelled", "running", "waiting", "pending", "skipped")
"""What a step of several combinations is shown as: the first of these that one of them is."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A workflow in the list; `wrong` says why it cannot be run."""

    name: str
    workflow: Workflow | None
    last: Run | None
    wrong: str = ""


async def show_workflows(visit: Visit) -> Response:
    """Every workflow with its last run, and the newest runs."""
    _check_admin(visit)
    root = _root(visit)
    store = RunStore(visit.platform.database)

    def look_up() -> tuple[list[_Row], list[Run]]:
        runs = store.runs(limit=MOST_RUNS)
        last = {run.workflow: run for run in reversed(runs)}
        rows = []
        for name in workflow_paths(root):
            try:
                found = find_workflow(name, root, os.environ)
            except ConfigError as error:
                rows.append(_Row(name, None, last.get(name), error.message))
            else:
                rows.append(_Row(name, found, last.get(name)))
        return rows, runs

    rows, runs = await asyncio.to_thread(look_up)
    return visit.page("workflows.html", rows=rows, runs=runs)


async def show_workflow(visit: Visit) -> Response:
    """One workflow: its graph, its variables, its runs."""
    _check_admin(visit)
    name = visit.request.path_params["name"]
    root = _root(visit)
    found = await asyncio.to_thread(find_workflow, name, root, os.environ)
    runs = await asyncio.to_thread(RunStore(visit.platform.database).runs, name, limit=MOST_RUNS)
    return visit.page(
        "workflow.html",
        workflow=found,
        variables={each: _variable(value) for each, value in found.file.variables.items()},
        graph=Graph.of(found.needs, _details(found), {}),
        runs=runs,
    )


async def start_run(visit: Visit) -> Response:
    """Make a run with the variables of the form, and show it."""
    _check_admin(visit)
    form = await read_form(visit.request, limit=_FORM_BYTES)
    name = visit.request.path_params["name"]
    root = _root(visit)
    given: dict[str, object] = {}
    found = await asyncio.to_thread(find_workflow, name, root, os.environ)
    for each, value in found.file.variables.items():
        text = form.get(f"var-{each}", "").strip()
        default = _variable(value).default
        if text and not isinstance(default, list) and text != str(default):
            given[each] = scalar(text)
    run = await asyncio.to_thread(
        RunStore(visit.platform.database).create,
        found,
        given,
        trigger="console",
        who=visit.principal.name,
        forced="force" in form,
    )
    return RedirectResponse(f"/runs/{run.id}", 303)


async def show_run(visit: Visit) -> Response:
    """One run: its graph in colours, and what came of each step."""
    _check_admin(visit)
    store = RunStore(visit.platform.database)
    root = _root(visit)
    run = await asyncio.to_thread(store.get, visit.request.path_params["run"])
    steps = await asyncio.to_thread(store.steps, run.id)
    try:
        workflow = await asyncio.to_thread(kept_workflow, run.workflow, run.text, os.environ, root)
    except ConfigError as error:  # an operation is gone since
        return visit.page(
            "run.html", run=run, steps=steps, graph=None, asked=[], wrong=error.message
        )
    asked = [
        each.step
        for each in steps.values()
        if each.operation == "approve" and each.status not in ENDED
    ]
    return visit.page(
        "run.html",
        run=run,
        steps=steps,
        graph=Graph.of(workflow.needs, _details(workflow), _statuses(steps)),
        asked=[] if run.has_ended else asked,
        wrong="",
    )


async def act_on_run(visit: Visit) -> Response:
    """Cancel, resume, approve or refuse."""
    _check_admin(visit)
    form = await read_form(visit.request, limit=_FORM_BYTES)
    store = RunStore(visit.platform.database)
    run = await asyncio.to_thread(store.get, visit.request.path_params["run"])
    match form.get("do", ""):
        case "cancel":
            await asyncio.to_thread(store.ask_cancel, run.id)
        case "resume":
            await asyncio.to_thread(store.reopen, run.id)
        case "approve" | "refuse" as word:
            await asyncio.to_thread(
                store.decide,
                run.id,
                form.get("step", ""),
                approved=word == "approve",
                who=visit.principal.name,
                why=form.get("why", "").strip(),
            )
    return RedirectResponse(f"/runs/{run.id}", 303)


def _root(visit: Visit) -> Path:
    """The service's own folder; what is served may be a release, which has no workflows."""
    served = visit.platform.service.config.root
    return Path.cwd() if served.is_relative_to(visit.platform.home) else served


def _details(workflow: Workflow) -> dict[str, str]:
    return {
        name: step.operation + (" × matrix" if step.matrix else "") + (" ?" if step.when else "")
        for name, step in workflow.file.steps.items()
    }


def _statuses(steps: Mapping[str, StepRun]) -> dict[str, str]:
    """The status of each step of the file; of several combinations, the one to look at."""
    every: dict[str, set[str]] = {}
    for each in steps.values():
        every.setdefault(each.step.partition("[")[0], set()).add(each.status)
    return {
        name: next((each for each in _WORST if each in found), min(found))
        for name, found in every.items()
    }


def _variable(value: object) -> VariableFile:
    return value if isinstance(value, VariableFile) else VariableFile(default=value)  # type: ignore[arg-type]  # read so


def _check_admin(visit: Visit) -> None:
    if not visit.principal.is_admin:
        raise PermissionDenied("workflows are for administrators", hint="sign in with an admin key")
