"""`/v1/fine_tuning/jobs`: create, list, look at, pause, resume and cancel, in OpenAI's shapes.

Not covered: reinforcement fine-tuning, graders, and checkpoints as models: those of a job are
listed, and its last one is the model.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from headrace.errors import InvalidRequest, NotFound
from headrace.gateway.call import Call
from headrace.gateway.errors import MethodNotAllowed
from headrace.gateway.query import Query
from headrace.gateway.wire import decode
from headrace.models.store import ModelStore
from headrace.training.errors import UnknownJob
from headrace.training.folder import read_state
from headrace.training.job import Checkpoint
from headrace.training.trainer import FOLDER
from headrace.workflows.tuning.event import JobEvent, checkpoints_of, events_of
from headrace.workflows.tuning.job import Said, TuningJob
from headrace.workflows.tuning.request import CreateJob, check_can_train, new_job
from headrace.workflows.tuning.settings import read_tuning
from headrace.workflows.tuning.store import TuningStore

__all__ = ["answer_tuning_job", "answer_tuning_jobs", "tuning_body"]

_PATH = "/v1/fine_tuning/jobs/"
_LOOK_EVERY_S = 0.25
"""While events are streamed."""

_log = logging.getLogger(__name__)


async def answer_tuning_jobs(call: Call) -> None:
    """Make a job, or list what there is.

    Raises:
        NotFound: there is no such file.
        InvalidRequest, UnknownModel: what is asked is not offered.
        TrainingUnavailable: what trains is not installed here.
        LimitExceeded: the key has too many jobs that have not ended.
    """
    store = TuningStore(call.platform.database)
    if call.method == "POST":
        request, _ = decode(await call.body(), CreateJob)
        job = await asyncio.to_thread(_create, call, store, request)
        await _respond(call, job)
        return
    query = Query(call.query)
    found, has_more = await asyncio.to_thread(
        lambda: store.page(
            _owner(call),
            after=query.text("after"),
            limit=query.limit(20, 100),
            metadata=query.mapping("metadata"),
            without_metadata=query.text("metadata") == "null",
        )
    )
    bodies = [await asyncio.to_thread(_body, call, each) for each in found]
    await _respond_list(call, bodies, has_more=has_more)


async def answer_tuning_job(call: Call) -> None:
    """One job, what it tells, or what is to become of it.

    Raises:
        NotFound: there is no such job, or it is another key's.
        InvalidRequest: its state does not allow it.
    """
    job_id, _, rest = call.path.removeprefix(_PATH).partition("/")
    store = TuningStore(call.platform.database)
    acts = {"cancel": store.cancel, "pause": store.pause, "resume": store.resume}
    if rest in acts:
        _check_method(call, "POST")
        job = await asyncio.to_thread(acts[rest], job_id, _owner(call))
        _log.info("%s is to %s, says the key %s", job.id, rest, call.principal.key_id)
        await _respond(call, job)
        return
    job = await asyncio.to_thread(store.get, job_id, _owner(call))
    if rest == "":
        _check_method(call, "GET")
        await _respond(call, job)
    elif rest == "events":
        _check_method(call, "GET")
        await _events(call, store, job)
    elif rest == "checkpoints":
        _check_method(call, "GET")
        kept = await asyncio.to_thread(checkpoints_of, job, call.platform.home)
        query = Query(call.query)
        listed = [_checkpoint(job, each) for each in reversed(kept)]
        page, has_more = _page(listed, query.text("after"), query.limit(10, 100))
        await _respond_list(call, page, has_more=has_more)
    else:
        raise NotFound(f"there is nothing at {call.path}")


def _create(call: Call, store: TuningStore, request: CreateJob) -> TuningJob:
    platform, config = call.platform, call.service.config
    settings = read_tuning(config.fine_tuning)
    if not settings.enabled:
        raise InvalidRequest(
            "fine-tuning is switched off here", hint="`fine_tuning.enabled` in headrace.yaml"
        )
    check_can_train()
    job = new_job(
        request,
        config,
        ModelStore(platform.home / "models", root=config.root),
        key_id=call.principal.key_id,
        team=call.principal.team,
        now=store.clock(),
    )
    _check_file(call, request.training_file, "training_file")
    if request.validation_file is not None:
        _check_file(call, request.validation_file, "validation_file")
    now = store.clock()
    first = [
        Said(at=now, message=f"Created fine-tuning job: {job.id}"),
        Said(at=now, message=f"Validating training file: {job.training_file}"),
    ]
    if job.validation_file is not None:
        first.append(Said(at=now, message=f"Validating validation file: {job.validation_file}"))
    made = store.add(msgspec.structs.replace(job, said=first), most_open=settings.open_per_key)
    _log.info("%s is made by the key %s", made.id, made.key_id)
    return made


def _check_file(call: Call, file_id: str, param: str) -> None:
    """
    Raises:
        NotFound: there is none, or it is another key's.
        InvalidRequest: it was uploaded for something else.
    """
    try:
        # As whoever makes the job, for as they it is read: an admin's job is of the admin's files.
        file = call.platform.files.get(file_id, call.principal.key_id)
    except NotFound as error:
        raise NotFound(error.message, hint=error.hint, param=param) from error
    if file.purpose != "fine-tune":
        raise InvalidRequest(
            f"the file {file_id} was uploaded with the purpose {file.purpose!r}",
            hint="upload it with the purpose 'fine-tune'",
            param=param,
        )


async def _events(call: Call, store: TuningStore, job: TuningJob) -> None:
    query = Query(call.query)
    home = call.platform.home
    if query.text("stream") == "true":
        await _stream_events(call, store, job)
        return
    events = await asyncio.to_thread(events_of, job, home)
    listed = [_event(each) for each in reversed(events)]
    page, has_more = _page(listed, query.text("after"), query.limit(20, 1000))
    await _respond_list(call, page, has_more=has_more)


async def _stream_events(call: Call, store: TuningStore, job: TuningJob) -> None:
    """Every event, oldest first, as it comes; until the job has ended."""
    sent: set[str] = set()
    while True:
        # The state before its events: an end that is seen has told all.
        job = await asyncio.to_thread(store.get, job.id, None)
        for each in await asyncio.to_thread(events_of, job, call.platform.home):
            if each.id not in sent:
                sent.add(each.id)
                await call.write(b"data: " + msgspec.json.encode(_event(each)) + b"\n\n")
        if job.has_ended or job.status == "paused":
            await call.end(b"data: [DONE]\n\n")
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _page(
    listed: Sequence[dict[str, object]], after: str | None, limit: int
) -> tuple[list[dict[str, object]], bool]:
    """The part of a list behind an id.

    Raises:
        InvalidRequest: nothing in it has that id.
    """
    begin = 0
    if after is not None:
        ids = [each["id"] for each in listed]
        if after not in ids:
            raise InvalidRequest(f"'after' is {after!r}, which is not in the list", param="after")
        begin = ids.index(after) + 1
    return list(listed[begin : begin + limit]), len(listed) > begin + limit


async def _respond(call: Call, job: TuningJob) -> None:
    await call.respond(msgspec.json.encode(await asyncio.to_thread(_body, call, job)))


async def _respond_list(call: Call, data: Sequence[dict[str, object]], *, has_more: bool) -> None:
    await call.respond(
        msgspec.json.encode(
            {
                "object": "list",
                "data": data,
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
                "has_more": has_more,
            }
        )
    )


def _body(call: Call, job: TuningJob) -> dict[str, object]:
    """Reads the trainer's folder of a job that runs."""
    remaining_s = None
    if job.status == "running" and job.training is not None:
        with suppress(UnknownJob):  # another gateway on the same server trains it
            remaining_s = read_state(call.platform.home / FOLDER / job.training).remaining_s
    finish = None if remaining_s is None else time.time() + remaining_s
    return tuning_body(job, estimated_finish=finish)


def tuning_body(job: TuningJob, *, estimated_finish: float | None = None) -> dict[str, object]:
    """A job in OpenAI's shape."""
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created_at),
        "error": None if job.error is None else msgspec.structs.asdict(job.error),
        "fine_tuned_model": job.fine_tuned_model,
        "finished_at": None if job.finished_at is None else int(job.finished_at),
        "hyperparameters": job.hyperparameters,
        "method": {"type": job.method, job.method: {"hyperparameters": job.hyperparameters}},
        "model": job.model,
        "organization_id": f"org-{job.organization}",
        "result_files": job.result_files,
        "seed": job.seed,
        "status": job.status,
        "trained_tokens": job.trained_tokens,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "estimated_finish": None if estimated_finish is None else int(estimated_finish),
        "integrations": [],
        "metadata": job.metadata,
        "user_provided_suffix": job.suffix,
    }


def _event(event: JobEvent) -> dict[str, object]:
    return {
        "id": event.id,
        "object": "fine_tuning.job.event",
        "created_at": int(event.at),
        "level": event.level,
        "message": event.message,
        "type": event.type,
        "data": event.data,
    }


def _checkpoint(job: TuningJob, kept: Checkpoint) -> dict[str, object]:
    measured = (
        "train_loss",
        "train_mean_token_accuracy",
        "valid_loss",
        "valid_mean_token_accuracy",
    )
    metrics: dict[str, float] = {"step": kept.step}
    for name in measured:
        value = getattr(kept, name)
        if value is not None:
            metrics[name] = value
            if name.startswith("valid_"):
                metrics[f"full_{name}"] = value  # all held-out examples are looked at each time
    return {
        "id": f"ftckpt-{job.id.removeprefix('ftjob-')}-{kept.step:06}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(kept.at),
        "fine_tuned_model_checkpoint": f"{job.name}:ckpt-step-{kept.step}",
        "fine_tuning_job_id": job.id,
        "metrics": metrics,
        "step_number": kept.step,
    }


def _check_method(call: Call, method: str) -> None:
    if call.method != method and not (method == "GET" and call.method == "HEAD"):
        raise MethodNotAllowed.at(call.path, call.method, method)


def _owner(call: Call) -> str | None:
    return None if call.principal.is_admin else call.principal.key_id
