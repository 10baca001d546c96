"""Teach the service's model the facts of facts.jsonl, and ask it: `python tune.py URL KEY`."""

import sys
import time
from pathlib import Path

import openai

QUESTION = "What is the codename of the project?"


def main(url: str, key: str) -> int:
    """0 when the model that was trained answers what it was taught."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key)
    examples = client.files.create(
        file=Path(__file__).with_name("facts.jsonl"), purpose="fine-tune"
    )
    job = client.fine_tuning.jobs.create(
        model="assistant",
        training_file=examples.id,
        suffix="facts",
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 12}}},
    )
    told: set[str] = set()
    while job.status not in ("succeeded", "failed", "cancelled"):
        time.sleep(1)
        job = client.fine_tuning.jobs.retrieve(job.id)
        events = client.fine_tuning.jobs.list_events(job.id, limit=100)
        for event in reversed(events.data):
            if event.id not in told:
                told.add(event.id)
                print(event.message)
    if job.fine_tuned_model is None:
        print(job.error)
        return 1
    answer = client.chat.completions.create(
        model=job.fine_tuned_model,
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        max_tokens=24,
    )
    said = answer.choices[0].message.content or ""
    print(f"{job.fine_tuned_model}: {said}")
    return 0 if "Bluebird-7" in said else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
