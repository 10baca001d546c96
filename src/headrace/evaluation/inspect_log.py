"""A run as an eval log of Inspect AI (schema version 2, JSON): for its viewer and its analyses.

A case is a sample, a repeat an epoch. Texts are those of the suite's file and of the answers, as
the other reports have them; passages that an answer stood on, and events, are not in it.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from headrace import __version__
from headrace.evaluation.ask import Answer
from headrace.evaluation.report import Line, Report
from headrace.evaluation.run import Result
from headrace.evaluation.store import KeptRun
from headrace.evaluation.suite import Case, Suite

__all__ = ["SCHEMA_VERSION", "inspect_log", "inspect_log_name"]

SCHEMA_VERSION = 2
"""Of `inspect_ai.log.EvalLog`."""

_NOT_NAME = re.compile(r"[^A-Za-z0-9]+")
_Json: TypeAlias = dict[str, object]


def inspect_log(kept: KeptRun, suite: Suite, report: Report, *, started_at: float) -> bytes:
    """The log, in the order of Inspect's own.

    Args:
        suite: the one that was run: a run keeps no questions.
        started_at: seconds since 1970; a kept answer may be older.
    """
    run = kept.run
    model = f"headrace/{suite.file.model or 'default'}"
    cases = {each.id: each for each in suite.cases}
    samples = [_sample(kept.id, each, cases[each.case], model) for each in run.results]
    usage = _usage([each.answer for each in run.results if each.answer is not None])
    log: _Json = {
        "version": SCHEMA_VERSION,
        "status": "success",
        "eval": _eval(kept, suite, model, started_at),
        "plan": {
            "name": "headrace",
            "steps": [{"solver": "headrace", "params": {"template": suite.file.template}}],
            "config": _config(suite),
        },
        "results": {
            "total_samples": len(run.results),
            "completed_samples": report.answers,
            "scores": [_score(name, report.lines, run.results) for name in run.scorers],
            "metadata": {"gate": "failed" if report.breaches else "passed", "breaches": report.breaches},
        },
        "stats": {
            "started_at": _moment(started_at),
            "completed_at": _moment(kept.created_at),
            "model_usage": {model: usage},
        },
        "samples": samples,
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(log), indent=2) + b"\n"


def inspect_log_name(kept: KeptRun, *, started_at: float) -> str:
    """The name by which Inspect finds a log in a folder: moment, task, id."""
    moment = _moment(started_at).replace(":", "-")
    task = _NOT_NAME.sub("-", kept.run.suite)
    return f"{moment}_{task}_{_task_id(kept)}.json"


def _task_id(kept: KeptRun) -> str:
    return kept.id.removeprefix("run-").replace("-", "")


def _eval(kept: KeptRun, suite: Suite, model: str, started_at: float) -> _Json:
    file = suite.file
    return {
        "eval_id": kept.id,
        "run_id": kept.id,
        "created": _moment(started_at),
        "task": suite.name,
        "task_id": _task_id(kept),
        "task_version": suite.version,
        "task_file": f"evals/{suite.name}.yaml",
        "task_description": file.description or None,
        "solver": "headrace",
        "dataset": {
            "name": suite.name,
            "samples": len(suite.cases),
            "sample_ids": [each.id for each in suite.cases],
            "shuffled": False,
        },
        "model": model,
        "model_generate_config": _config(suite),
        "config": {"epochs": file.repeats, "epochs_reducer": ["mean"], "fail_on_error": False},
        "packages": {"headrace": __version__},
        "metadata": {"release": kept.run.release},
        "scorers": [{"name": name} for name in kept.run.scorers],
    }


def _config(suite: Suite) -> _Json:
    params = suite.params
    said = {
        "max_tokens": params.max_tokens,
        "top_p": params.top_p,
        "temperature": params.temperature,
        "stop_seqs": params.stop,
        "frequency_penalty": params.frequency_penalty,
        "presence_penalty": params.presence_penalty,
        "seed": suite.file.seed,
    }
    return {name: value for name, value in said.items() if value is not None}


def _score(name: str, lines: list[Line], results: list[Result]) -> _Json:
    metrics: dict[str, _Json] = {}
    for line in lines:
        one = line.estimate
        if line.scorer == name and line.tag is None:
            metrics |= {"mean": {"name": "mean", "value": one.mean}}
            # Equal scores alone, or one: they do not say how sure they are.
            if one.low < one.high:
                metrics["ci_low"] = {"name": "ci_low", "value": one.low}
                metrics["ci_high"] = {"name": "ci_high", "value": one.high}
        elif line.scorer == name:
            key = f"mean_{line.tag}"
            metrics[key] = {"name": line.tag, "group": "mean", "value": one.mean}
    scored = sum(name in each.scores for each in results)
    return {
        "name": name,
        "scorer": name,
        "reducer": "mean",
        "scored_samples": scored,
        "unscored_samples": len(results) - scored,
        "metrics": metrics,
    }


def _sample(run_id: str, result: Result, case: Case, model: str) -> _Json:
    metadata: _Json = {"tags": result.tags, "labels": result.labels, "unscored": result.unscored}
    sample: _Json = {
        "id": case.id,
        "epoch": result.repeat + 1,
        "uuid": hashlib.sha256(f"{run_id}\n{case.id}\n{result.repeat}".encode()).hexdigest()[:22],
        "input": case.input if isinstance(case.input, str) else [_user(t) for t in case.input],
        "target": "" if case.target is None else str(case.target),
        "messages": _messages(case, result.answer, model),
        "output": {"model": model, "choices": []},
        "scores": {
            name: {
                "value": value,
                "answer": None if result.answer is None else result.answer.text,
                "explanation": result.notes.get(name) or None,
            }
            for name, value in result.scores.items()
        },
        "metadata": metadata,
    }
    if (answer := result.answer) is None:
        error = result.error or "no answer"
        return sample | {"error": {"message": error, "traceback": "", "traceback_ansi": ""}}
    usage = _usage([answer])
    message = _assistant(answer.text, model)
    return sample | {
        "output": {
            "model": model,
            # Why an answer ended is not kept.
            "choices": [{"message": message, "stop_reason": "unknown"}],
            "completion": answer.text,
            "usage": usage,
            "time": answer.total_s,
        },
        "model_usage": {model: usage},
        "total_time": answer.total_s,
        "working_time": answer.total_s,
        "metadata": metadata | {"ttft_s": answer.ttft_s},
    }


def _messages(case: Case, answer: Answer | None, model: str) -> list[_Json]:
    """The conversation; of an answer that an older version kept, only its last answer is known."""
    if answer is None:
        return [_user(text) for text in case.turns]
    unknown = [None] * (len(case.turns) - len(answer.said) - 1)
    found: list[_Json] = []
    for asked, text in zip(case.turns, [*unknown, *answer.said, answer.text], strict=True):
        found.append(_user(asked))
        if text is not None:
            found.append(_assistant(text, model))
    return found


def _user(text: str) -> _Json:
    return {"role": "user", "content": text}


def _assistant(text: str, model: str) -> _Json:
    return {"role": "assistant", "content": text, "source": "generate", "model": model}


def _usage(answers: list[Answer]) -> _Json:
    read = sum(each.prompt_tokens for each in answers)
    written = sum(each.completion_tokens for each in answers)
    return {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "total_cost": sum(each.cost_usd for each in answers),
    }


def _moment(then: float) -> str:
    return datetime.fromtimestamp(then, UTC).isoformat(timespec="seconds")
