"""The whole loop, for real: people correct a model, and the better model is served; worse ones are not.

`python demo.py` works in a folder of its own, deleted afterwards; `--keep DIR` keeps it. Everything runs through
the commands and the API that anybody uses. Exits with 0 when every part came out as it should.
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

HERE = Path(__file__).parent
FILES = ("headrace.yaml", "policies", "evals")
HEADRACE = shutil.which("headrace", path=str(Path(sys.executable).parent)) or "headrace"
NO_CONSENT = "frank"
FACTS = 8
"""What each person asks about, in the order of the suite's cases."""
AT_ONCE = 4
"""People who ask at the same time: as many as the model answers at once."""
QUESTION = "Where do lorries enter Halden Mill?"
ANSWER = "Gate 4"
STRICT = """\
description: Stops whoever writes an e-mail address. It looks harmless, and its suite says so.
extends: default
input: {email: block}
"""


class Wrong(Exception):
    """A part of the loop did not come out as it should."""


def check(holds: object, what: str) -> None:
    if not holds:
        raise Wrong(what)


class Service:
    """The service in one folder, and the commands that are called there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / ".headrace"
        self.url = self.key = ""

    def run(self, *args: str, fails: bool = False) -> str:
        """Call a command; gives what it prints, or with `fails` what it prints or says of it."""
        done = subprocess.run(
            [HEADRACE, *args], cwd=self.root, capture_output=True, text=True, check=False,
            env=self.environ,
        )  # fmt: skip
        if (done.returncode != 0) is not fails:
            raise Wrong(
                f"headrace {' '.join(args)} gave {done.returncode}: {done.stderr}{done.stdout}"
            )
        return (done.stdout or done.stderr) if fails else done.stdout

    @property
    def environ(self) -> dict[str, str]:
        # Training's threads wait for each other some thousand times a step: beside a service that
        # answers, and whatever else the machine does, one is faster than two.
        return {"OMP_NUM_THREADS": "1", **os.environ, "HEADRACE_HOME": str(self.home)}

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Run the service."""
        log = self.root / "service.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [HEADRACE, "up", "--port", "0", "--json"], cwd=self.root, env=self.environ,
                stdout=subprocess.PIPE, stderr=output, text=True,
            )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise Wrong(log.read_text("utf-8"))
            self.url = json.loads(line)["url"]
            self.key = (self.home / "admin.key").read_text("utf-8").strip()
            yield
        finally:
            process.terminate()
            process.wait(30)

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=120
        )

    def ask(
        self, client: httpx.Client, question: str, user: str, **parameters: int
    ) -> tuple[str, httpx.Headers]:
        """What is answered; empty when it is not."""
        messages = [{"role": "user", "content": question}]
        reply = client.post(
            "/v1/chat/completions", json={"messages": messages, "user": user, **parameters}
        )
        if reply.status_code != httpx.codes.OK:
            return "", reply.headers
        return str(reply.json()["choices"][0]["message"]["content"]), reply.headers

    def has_trial(self) -> bool:
        """Whether a release is on trial now."""
        path = self.home / "serving.json"
        return path.exists() and json.loads(path.read_text("utf-8"))["canary"] is not None

    def history(self) -> list[str]:
        return [str(each["why"]) for each in json.loads(self.run("deploy", "--history", "--json"))]


class Traffic:
    """People who ask while a release is on trial; before that, training has the machine."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(n,)) for n in range(AT_ONCE)]

    def __enter__(self) -> None:
        for each in self._threads:
            each.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for each in self._threads:
            each.join(120)

    def _go(self, first: int) -> None:
        with self._service.client() as client:
            for number in itertools.count(first, AT_ONCE):
                while not self._service.has_trial():
                    if self._ending.wait(0.2):
                        return
                if self._ending.is_set():
                    return
                question = f"Please write to visitor{number}@example.org: when is Halden Mill open?"
                # What they are told does not matter here, whether they are told something does.
                self._service.ask(client, question, f"visitor-{number % 40}", max_tokens=4)


@dataclass(frozen=True)
class Loop:
    """What the parts have in common."""

    service: Service
    rows: list[dict[str, str]]
    """Who asks what, and what the answer should have been."""
    epochs: int


def rows(facts: int) -> list[dict[str, str]]:
    """The rows about the first facts, and all of who does not consent."""
    found: dict[str, list[dict[str, str]]] = {}
    for line in (HERE / "asked.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["user"], []).append(row)
    return [row for each in found.values() for row in each[:facts]]


def shorten(suite: Path, facts: int) -> None:
    """Leave only the cases about the first facts in a suite."""
    cases = itertools.count()
    lines = suite.read_text("utf-8").splitlines(keepends=True)
    kept = [each for each in lines if not each.startswith("  - {id:") or next(cases) < facts]
    suite.write_text("".join(kept), "utf-8")


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def tell(text: str) -> None:
    print("\n".join(f"  {line}" for line in text.strip().splitlines()), flush=True)


def learn(loop: Loop) -> None:
    """People ask, and say what the answer should have been; all but one allow learning from it."""
    service = loop.service
    say("1. People ask, and correct what they get")
    with service.client() as client, ThreadPoolExecutor(AT_ONCE) as people:
        right = sum(people.map(lambda row: correct(service, client, row), loop.rows))
        before, _ = service.ask(client, QUESTION, "ann")
    tell(f"{len(loop.rows)} questions, {right} answered right\n{QUESTION}\n→ {before}")
    check(ANSWER not in before, "the model knows it already")
    for person in sorted({row["user"] for row in loop.rows} - {NO_CONSENT}):
        service.run("consent", "give", person, "--for", "training", "--evidence", "demo")
    tell(f"all but {NO_CONSENT} consent to training")


def correct(service: Service, client: httpx.Client, row: dict[str, str]) -> bool:
    """Ask, and say what the answer should have been; gives whether it was that."""
    answer, headers = service.ask(client, row["question"], row["user"])
    client.post(
        "/v1/feedback",
        json={
            "trace": headers["x-headrace-trace"],
            "score": -1,
            "correction": row["correction"],
        },
    ).raise_for_status()
    return answer == row["correction"]


def improve(loop: Loop) -> None:
    """From traces to a release that is served: train, evaluate, gate, canary."""
    service = loop.service
    say("2. headrace workflow run improve")
    service.run("release", "build", "--note", "as it was")
    service.run("deploy", "r1", "--unproved", "--why", "the first one")
    with Traffic(service):
        told = service.run(
            "workflow", "run", "improve",
            "--var", "suite=mill", "--var", f"epochs={loop.epochs}", "--var", "learning_rate=0.002",
            "--var", "canary=[50, 100]", "--var", "every_s=1",
        )  # fmt: skip
    tell(told)
    tell(service.run("release", "inspect", "r2"))
    with service.client() as client:
        after, headers = service.ask(client, QUESTION, "ann")
        secret, _ = service.ask(client, loop.rows[-2]["question"], "ann")
    tell(f"{QUESTION}\n→ {after}")
    check(ANSWER in after, f"the new model does not know it: {after}")
    check("4711" not in secret, f"it knows what {NO_CONSENT} did not allow")
    trace = json.loads(service.run("trace", "show", headers["x-headrace-trace"], "--json"))
    tell(f"that answer's trace names its release: {str(trace['release'])[:19]}…")
    served = json.loads(service.run("release", "inspect", "production", "--json"))
    check(trace["release"] == served["manifest"]["behaviour"], "the answer is of another release")
    people = json.loads(service.run("subject", "show", "ann", "--json"))
    tell(f"and ann's data is in: {people['datasets']}")


def refuse(loop: Loop) -> None:
    """A release that is worse is stopped by its suite."""
    service = loop.service
    say("3. A worse release: the gate")
    file = service.root / "headrace.yaml"
    good = file.read_text("utf-8")
    file.write_text(good.replace("max_tokens: 24", "max_tokens: 2"), "utf-8")
    name = json.loads(service.run("release", "build", "--json"))["name"]
    tell(service.run("release", "check", name, fails=True))
    tell(service.run("deploy", name, fails=True))
    file.write_text(good, "utf-8")


def roll_back(loop: Loop) -> None:
    """A release that its suite finds good, and people do not, is stopped by the canary."""
    service = loop.service
    say("4. A release that passes its suite and fails people: the canary")
    served = json.loads(service.run("release", "inspect", "production", "--json"))
    folder = service.home / "releases" / str(served["digest"]).removeprefix("sha256:")
    worse = service.root / "worse"
    shutil.copytree(folder, worse)
    (worse / "policies" / "house.yaml").write_text(STRICT, "utf-8")
    other = Service(worse)
    other.home = service.home
    name = json.loads(other.run("release", "build", "--json"))["name"]
    tell(service.run("release", "check", name))
    with Traffic(service):
        tell(
            service.run(
                "deploy", name, "--canary", "20,100", "--every", "1h",
                "--watch", "error_rate<1%,blocked_rate<5%",
            )
        )  # fmt: skip
        until = time.monotonic() + 120
        while not any(f"{name} was rolled back" in why for why in service.history()):
            check(time.monotonic() < until, f"{name} was not rolled back")
            time.sleep(0.5)
    tell(service.history()[0])
    with service.client() as client:
        answer, _ = service.ask(client, QUESTION, "ann")
    check(ANSWER in answer, "what was served before is not served again")
    tell(f"{QUESTION}\n→ {answer}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work in this new folder, and keep it"
    )
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="a model store that is there already"
    )
    parser.add_argument(
        "--facts", type=int, default=FACTS, choices=range(2, FACTS + 1), metavar="N",
        help="teach the first N facts only",
    )  # fmt: skip
    parser.add_argument("--epochs", type=int, default=4, metavar="N", help="passes over the rows")
    options = parser.parse_args()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        root = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            source = HERE / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, root / name)
        shorten(root / "evals" / "mill.yaml", options.facts)
        service = Service(root)
        service.home.mkdir(mode=0o700)
        if options.models is not None:
            (service.home / "models").symlink_to(options.models.resolve())
        try:
            with service.serving():
                loop = Loop(service, rows(options.facts), options.epochs)
                for part in (learn, improve, refuse, roll_back):
                    part(loop)
        except Wrong as error:
            print(f"\nit went wrong: {error}", file=sys.stderr)
            return 1
    say(f"All of it took {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
