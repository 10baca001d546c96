"""`headrace screen test`: the cases of policies."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # written here, never parsed

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.screen.desk import WITH_MODELS, chosen_policy, opened_kit
from headrace.cli.terminal import print_json, print_table, printable
from headrace.errors import NotFound
from headrace.screening.form import PolicyCase

if TYPE_CHECKING:
    from headrace.screening.policy import Policy

__all__ = ["test"]

FAILED = 1
_TESTS = ".tests.yaml"
_NAME_CHARS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What came of one case."""

    policy: str
    name: str
    outcome: str
    action: str = ""
    reasons: Sequence[str] = ()
    seconds: float = 0.0


class _TestsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`NAME.tests.yaml`: cases of the policy NAME, beside it."""

    tests: list[PolicyCase]
    policy: str | None = None


@click.command(cls=Command)
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--models", "with_models", is_flag=True, help=WITH_MODELS)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report as JUnit XML to this file.",
)
@json_option
@click.pass_context
def test(
    context: click.Context,
    files: tuple[Path, ...],
    with_models: bool,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Run the cases of policies: of FILES and folders, or of policies/. Exits with 1 if one fails.

    Cases stand under `tests:` in a policy, or in NAME.tests.yaml beside it.
    """
    pairs = list(_cases(files or (Place.here().root / "policies",)))
    results = asyncio.run(_run(pairs, with_models=with_models))
    if junit is not None:
        junit.write_bytes(_junit_xml(results))
    if as_json:
        print_json([msgspec.to_builtins(each) for each in results])
    else:
        _print(results)
    context.exit(FAILED if any(each.outcome == "failed" for each in results) else 0)


def _cases(files: Sequence[Path]) -> "Iterator[tuple[Policy, PolicyCase]]":
    paths: list[Path] = []
    for each in files:
        if not each.exists():
            continue
        paths += sorted(each.glob("*.yaml")) if each.is_dir() else [each]
    if not paths:
        raise NotFound("there are no policies here", hint="name files, or make policies/NAME.yaml")
    for path in paths:
        if path.name.endswith(_TESTS):
            yield from _cases_beside(path)
        else:
            policy = chosen_policy(str(path))
            yield from ((policy, case) for case in policy.file.tests)


def _cases_beside(path: Path) -> "Iterator[tuple[Policy, PolicyCase]]":
    import os

    from headrace.config.node import load_yaml

    read = load_yaml(path, os.environ).convert(_TestsFile)
    name = read.policy or path.name.removesuffix(_TESTS)
    beside = path.with_name(f"{name}.yaml")
    policy = chosen_policy(str(beside) if beside.exists() else name)
    yield from ((policy, case) for case in read.tests)


async def _run(pairs: "Sequence[tuple[Policy, PolicyCase]]", *, with_models: bool) -> list[_Result]:
    from headrace.pipeline.steps.screen.trial import differences, skipped_by, try_case

    results: list[_Result] = []
    async with opened_kit(with_models=with_models) as kit:
        for policy, case in pairs:
            began = time.perf_counter()
            outcome = await try_case(policy, case, kit)
            wrong = differences(policy, case, outcome)
            skipped = skipped_by(policy, kit)
            if any(each.detector == "rewrite" for each in outcome.findings) and not with_models:
                skipped.append("rewrite")
            if wrong and skipped:
                # What did not run may be what the case is about.
                verdict, wrong = "skipped", [f"needs --models: {', '.join(skipped)}"]
            else:
                verdict = "failed" if wrong else "passed"
            results.append(
                _Result(
                    policy=policy.name,
                    name=case.name or case.text[:_NAME_CHARS],
                    outcome=verdict,
                    action=outcome.action,
                    reasons=tuple(wrong),
                    seconds=round(time.perf_counter() - began, 6),
                )
            )
    return results


def _print(results: Sequence[_Result]) -> None:
    rows = [
        [each.outcome, each.policy, each.action, each.name, "; ".join(each.reasons)]
        for each in results
    ]
    if rows:
        print_table(["OUTCOME", "POLICY", "ACTION", "CASE", "WHY"], rows)
    counts = {
        outcome: sum(each.outcome == outcome for each in results)
        for outcome in ("passed", "failed", "skipped")
    }
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    click.echo(told or "no tests", err=True)


def _junit_xml(results: Sequence[_Result]) -> bytes:
    root = ET.Element("testsuites", {"name": "headrace screen test", **_counts(results)})
    for policy in dict.fromkeys(each.policy for each in results):
        own = [each for each in results if each.policy == policy]
        suite = ET.SubElement(root, "testsuite", {"name": policy, **_counts(own)})
        for each in own:
            case = ET.SubElement(
                suite,
                "testcase",
                name=printable(each.name),
                classname=policy,
                time=f"{each.seconds:.3f}",
            )
            if each.outcome != "passed":
                kind = "failure" if each.outcome == "failed" else "skipped"
                ET.SubElement(case, kind, message=printable("; ".join(each.reasons)))
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _counts(results: Sequence[_Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(each.outcome == "failed" for each in results)),
        "skipped": str(sum(each.outcome == "skipped" for each in results)),
        "time": f"{sum(each.seconds for each in results):.3f}",
    }
