"""Fine-tuning jobs: those that there are, and one with its losses as they come.

Everybody sees their own; an administrator sees all.
"""

import asyncio

from starlette.responses import JSONResponse, RedirectResponse, Response

from headrace.console.form import read_form
from headrace.console.visit import Visit
from headrace.workflows.tuning.event import events_of, losses_of
from headrace.workflows.tuning.job import TuningJob
from headrace.workflows.tuning.store import TuningStore

__all__ = ["act_on_job", "show_job", "show_jobs", "show_losses"]

_FORM_BYTES = 4 * 1024
MOST_JOBS = 100
MOST_EVENTS = 12


async def show_jobs(visit: Visit) -> Response:
    """Every job of whoever looks, newest first."""
    jobs, _ = await asyncio.to_thread(_store(visit).page, _owner(visit), limit=MOST_JOBS)
    return visit.page("fine_tuning.html", jobs=jobs)


async def show_job(visit: Visit) -> Response:
    """One job: what it was asked, where it stands, its losses and newest events."""
    job = await _job(visit)
    events = await asyncio.to_thread(events_of, job, visit.platform.home)
    told = [each for each in reversed(events) if each.type == "message"]
    return visit.page("fine_tuning_job.html", job=job, events=told[:MOST_EVENTS])


async def show_losses(visit: Visit) -> Response:
    """What its chart shows: each step with its losses, and the job's state."""
    job = await _job(visit)
    rows = await asyncio.to_thread(losses_of, job, visit.platform.home)
    body = {
        "status": job.status,
        "ended": job.has_ended or job.status == "paused",
        "steps": [row["step"] for row in rows],
        "train": [row.get("train_loss") for row in rows],
        "valid": [row.get("valid_loss") for row in rows],
    }
    return JSONResponse(body, headers={"cache-control": "no-store"})


async def act_on_job(visit: Visit) -> Response:
    """Pause, resume or cancel."""
    form = await read_form(visit.request, limit=_FORM_BYTES)
    store = _store(visit)
    acts = {"pause": store.pause, "resume": store.resume, "cancel": store.cancel}
    job = await _job(visit)
    act = acts.get(form.get("do", ""))
    if act is not None:
        await asyncio.to_thread(act, job.id, _owner(visit))
    return RedirectResponse(f"/fine-tuning/{job.id}", 303)


async def _job(visit: Visit) -> TuningJob:
    wanted = visit.request.path_params["job"]
    return await asyncio.to_thread(_store(visit).get, wanted, _owner(visit))


def _store(visit: Visit) -> TuningStore:
    return TuningStore(visit.platform.database)


def _owner(visit: Visit) -> str | None:
    return None if visit.principal.is_admin else visit.principal.key_id
