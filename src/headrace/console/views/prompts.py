"""The prompt library: its templates and versions, what changed, and any version on chosen cases.

For administrators: prompts and their tests may hold what is nobody else's business.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import Response

from headrace.console.form import read_form
from headrace.console.visit import Visit
from headrace.errors import HeadraceError, InvalidRequest, NotFound, PermissionDenied
from headrace.pipeline.trial import Trial, try_case
from headrace.prompts.difference import Line, rendered_text, side_by_side
from headrace.prompts.file import PromptTest
from headrace.prompts.source import source_of
from headrace.prompts.store import Version
from headrace.prompts.template import PromptTemplate
from headrace.types import Message

__all__ = ["run_cases", "show_prompt", "show_prompts"]

CURRENT = "current"
"""Instead of a version's number: the template as its file has it now."""
MOST_CASES = 12
"""Cases of one run; both versions answer each, while the reader waits."""
_FORM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two versions that are looked at."""

    key: str
    """`current` or `v3`, as the address has it."""
    template: PromptTemplate


@dataclass(frozen=True, slots=True)
class _Pair:
    """A case with what each version made of it."""

    name: str
    left: Trial
    right: Trial


async def show_prompts(visit: Visit) -> Response:
    """Every template, with how many versions it has."""
    _check_admin(visit)
    prompts, library = visit.platform.prompts, visit.platform.service.prompts

    def look_up() -> dict[str, list[Version]]:
        names = {*library.names(), *prompts.names()}
        return {name: prompts.versions(name) for name in sorted(names)}

    versions = await asyncio.to_thread(look_up)
    known = set(library.names())
    return visit.page(
        "prompts.html",
        rows=[
            {
                "name": name,
                "template": library.get(name) if name in known else None,
                "is_own": name in known and library.path(name) is not None,
                "versions": len(found),
                "tags": [tag for each in found for tag in each.tags],
            }
            for name, found in versions.items()
        ],
    )


async def show_prompt(visit: Visit) -> Response:
    """One template: its versions, and the difference between two of them."""
    _check_admin(visit)
    query = visit.request.query_params
    return await _page(visit, query.get("left", ""), query.get("right", ""), query.get("case", ""))


async def run_cases(visit: Visit) -> Response:
    """Both versions on the chosen cases, through the pipeline; the answers beside each other."""
    _check_admin(visit)
    form = await read_form(visit.request, limit=_FORM_BYTES)
    chosen = {key.removeprefix("case-") for key in form if key.startswith("case-")}
    if not chosen and not form.get("text", "").strip():
        raise InvalidRequest(
            "no case was chosen", hint="choose one, or write a message of your own"
        )
    left, right = form.get("left", ""), form.get("right", "")
    return await _page(visit, left, right, "", chosen=chosen, text=form.get("text", "").strip())


async def _page(
    visit: Visit,
    left_key: str,
    right_key: str,
    case: str,
    *,
    chosen: set[str] | None = None,
    text: str = "",
) -> Response:
    name = visit.request.path_params["name"]
    versions = await asyncio.to_thread(visit.platform.prompts.versions, name)
    keys = _keys(visit, name, versions)
    right = await _side(visit, name, versions, right_key or keys[0])
    left = await _side(visit, name, versions, left_key or _before(right.key, keys))
    cases = right.template.file.tests[:MOST_CASES]
    pairs: list[_Pair] = []
    if chosen is not None:
        tests = [each for at, each in enumerate(cases) if str(at) in chosen]
        if text:
            tests.append(PromptTest(user=text, name=text[:60]))
        pairs = [await _pair(visit, left.template, right.template, each) for each in tests]
    shown = cases[int(case)] if case.isdigit() and int(case) < len(cases) else None
    shown = shown or (cases[0] if cases else PromptTest(user="Hello."))
    return visit.page(
        "prompt.html",
        name=name,
        keys=keys,
        versions={f"v{each.number}": each for each in versions},
        left=left,
        right=right,
        cases=cases,
        case=case,
        chosen=chosen or set(),
        text=text,
        pairs=pairs,
        source=_changes(source_of(left.template.file), source_of(right.template.file)),
        rendered=_changes(_read(left.template, shown), _read(right.template, shown)),
    )


def _keys(visit: Visit, name: str, versions: list[Version]) -> list[str]:
    """What can be looked at, newest first; raises NotFound when that is nothing."""
    library = visit.platform.service.prompts
    keys = [f"v{each.number}" for each in reversed(versions)]
    if name in library.names():
        keys.insert(0, CURRENT)
    if not keys:
        library.get(name)
    return keys


def _before(key: str, keys: list[str]) -> str:
    """The next older one; what is in use is usually the newest version too, so one further."""
    at = min(keys.index(key) + 1, len(keys) - 1)
    if key == CURRENT and len(keys) > 2:
        at = 2
    return keys[at]


async def _side(visit: Visit, name: str, versions: list[Version], key: str) -> _Side:
    if key == CURRENT:
        return _Side(key, visit.platform.service.prompts.get(name))
    found = next((each for each in versions if f"v{each.number}" == key), None)
    if found is None:
        raise NotFound(f"the template {name!r} has no version {key[:20]!r}")
    return _Side(key, await asyncio.to_thread(visit.platform.prompts.template, found))


async def _pair(
    visit: Visit, left: PromptTemplate, right: PromptTemplate, test: PromptTest
) -> _Pair:
    service, reader = visit.platform.service, visit.principal
    one, other = await asyncio.gather(
        *(try_case(service, reader, each, test) for each in (left, right))
    )
    return _Pair(test.name or test.user[:60], one, other)


def _read(template: PromptTemplate, test: PromptTest) -> str:
    """What the template makes of a case: the words only, without the other steps."""
    try:
        values = template.variables.fill(test.variables, {})
        today = datetime.now(UTC).date().isoformat()
        rendered = template.render(values, language=test.language, today=today)
        return rendered_text(rendered.around([Message(role="user", content=test.user)]))
    except HeadraceError as error:
        return error.message


def _changes(left: str, right: str) -> list[Line]:
    return side_by_side(left, right)


def _check_admin(visit: Visit) -> None:
    if not visit.principal.is_admin:
        raise PermissionDenied(
            "the prompt library is for administrators", hint="sign in with an admin key"
        )
