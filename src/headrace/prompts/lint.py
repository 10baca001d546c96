"""What is allowed in a template and still likely to be a mistake.

Errors (a variable that is not declared, a filter that does not exist, broken Jinja) are found when a
template is loaded; `lint_file` reports those too. The rest are warnings: each says where and why.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from headrace.config.node import load_yaml
from headrace.errors import ConfigError
from headrace.prompts.example import Examples
from headrace.prompts.reader import read_template
from headrace.prompts.template import PromptTemplate
from headrace.prompts.text import Localized

__all__ = ["Complaint", "Level", "lint", "lint_file"]

Level: TypeAlias = Literal["error", "warning"]
LanguageOf: TypeAlias = Callable[[str], str | None]

_LONG_EXAMPLE = 400
_LONG_EXAMPLES = 1_200
"""Estimated tokens: of a context of 4,096, beyond that little is left for question and answer."""
_FENCES = ("<", "```", '"""', "“", "「", "[", "---", "###")
_ENOUGH_LETTERS = 20


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that is probably wrong."""

    rule: str
    """Stable name of the rule, such as `unused-variable`."""
    level: Level
    where: str
    """The field, as `messages.system.zh`."""
    message: str


def lint_file(
    path: Path, root: Path, environ: Mapping[str, str], language_of: LanguageOf
) -> list[Complaint]:
    """What is wrong with a file: the error that keeps it from loading, or all warnings."""
    try:
        template = read_template(load_yaml(path, environ), path.stem, root)
    except ConfigError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return [Complaint(_rule_of(error.message), "error", "", f"{error.message}{hint}")]
    return lint(template, language_of)


def lint(template: PromptTemplate, language_of: LanguageOf) -> list[Complaint]:
    """All warnings about a template, in the order of its fields."""
    rules = (_description, _variables, _placement, _languages, _examples, _tests)
    return [each for rule in rules for each in rule(template, language_of)]


def _rule_of(message: str) -> str:
    """The rule that an error of loading breaks, by its words."""
    by_words = {
        "is not declared": "undeclared-variable",
        "there is no filter": "unsafe-filter",
        "not available in a prompt": "unsafe-jinja",
        "cannot be rendered": "not-rendered",
        ".jsonl": "broken-dataset",
    }
    return next((rule for words, rule in by_words.items() if words in message), "does-not-load")


def _warning(rule: str, where: str, message: str) -> Complaint:
    return Complaint(rule, "warning", where, message)


def _texts(template: PromptTemplate) -> Iterator[tuple[str, Localized]]:
    form, longer = template.reasoning, template.map_reduce
    named = {
        "messages.system": template.system,
        "messages.user": template.user,
        "reasoning.instruction": form.instruction if form is not None else None,
        "map_reduce.part": longer.part if longer is not None else None,
    }
    for where, text in named.items():
        if text is not None:
            yield where, text


def _description(template: PromptTemplate, language_of: LanguageOf) -> Iterator[Complaint]:
    del language_of
    if not template.description:
        yield _warning("no-description", "description", "nobody is told what it is for")
    if template.system is None and template.user is None:
        yield _warning("no-words", "messages", "the template has no words")


def _variables(template: PromptTemplate, language_of: LanguageOf) -> Iterator[Complaint]:
    del language_of
    used = [text.names() for _, each in _texts(template) for text in each.by_language.values()]
    everywhere = set().union(*used) if used else set()
    given = {name for test in template.file.tests for name in test.variables}
    for name, variable in template.variables.declared.items():
        where = f"variables.{name}"
        if name not in everywhere:
            yield _warning("unused-variable", where, "no text uses it")
        if not variable.spec.description:
            yield _warning("no-description", where, "nobody is told what to fill in")
        if variable.required and name not in given:
            yield _warning(
                "missing-default", where, "it has no default, and no test gives it a value"
            )
    for where, text in _texts(template):
        yield from _unequal(where, text)


def _unequal(where: str, text: Localized) -> Iterator[Complaint]:
    """Variables that one language has and another has not."""
    names = {key: each.names() for key, each in text.by_language.items()}
    all_names = set().union(*names.values())
    for key, own in names.items():
        for name in sorted(all_names - own - {"language", "today"}):
            yield _warning(
                "language-lacks-variable", f"{where}.{key}", f"{name!r} is in other languages only"
            )


def _placement(template: PromptTemplate, language_of: LanguageOf) -> Iterator[Complaint]:
    """Text of strangers where a model takes it for instructions."""
    del language_of
    free = {
        name
        for name, each in template.variables.declared.items()
        if each.spec.type == "string" and each.pattern is None and each.spec.max_length > 500
    }
    if template.system is not None:
        for key, text in template.system.by_language.items():
            for name in sorted(free & text.names()):
                if not _is_fenced(text.source, name):
                    yield _warning(
                        "injection-prone",
                        f"messages.system.{key}",
                        f"the long text {name!r} stands among the instructions: put it into "
                        "`messages.user`, between marks such as <text> and </text>, or give it a "
                        "`pattern` or a `max_length` of 500 or less",
                    )
    if template.user is not None:
        for key, text in template.user.by_language.items():
            _, _, behind = text.source.partition("input")
            if len(behind.strip(" }|\n")) > 200 and not _is_fenced(text.source, "input"):
                yield _warning(
                    "injection-prone",
                    f"messages.user.{key}",
                    "what the user wrote stands unfenced before instructions",
                )


def _is_fenced(source: str, name: str) -> bool:
    """Whether each use of a variable stands between marks on lines of their own."""
    lines = [line.strip() for line in source.splitlines()]
    uses = [at for at, line in enumerate(lines) if line.startswith("{{") and name in line]
    printed = sum(source.count(f"{{{{{space}{name}") for space in ("", " "))
    return printed <= len(uses) and all(at > 0 and lines[at - 1].startswith(_FENCES) for at in uses)


def _languages(template: PromptTemplate, language_of: LanguageOf) -> Iterator[Complaint]:
    for where, text in _texts(template):
        for key, each in text.by_language.items():
            words = each.source.split("{%")[0] if "{%" in each.source else each.source
            found = language_of(words) if len(words) >= _ENOUGH_LETTERS else None
            base = key.partition("-")[0]
            if base != "default" and found is not None and found != base:
                yield _warning("language-mixed", f"{where}.{key}", f"the text is in {found}")
    for at, entry in enumerate(template.examples.entries):
        if entry.language is None or entry.language == "default":
            continue
        found = language_of(entry.user)
        if found is not None and len(entry.user) >= _ENOUGH_LETTERS and found != entry.language:
            yield _warning("language-mixed", f"examples[{at}]", f"the example is in {found}")
    wanted = template.file.scenario.languages
    for where, text in _texts(template):
        for language in wanted:
            there = text.by_language
            if language not in there and not (language == "en" and text.default in there):
                yield _warning(
                    "language-missing", where, f"the scenario names {language}, the text has none"
                )


def _examples(template: PromptTemplate, language_of: LanguageOf) -> Iterator[Complaint]:
    del language_of
    examples = template.examples
    for one, _ in examples.doubles():
        yield _warning("contradictory-examples", "examples", f"two answers to {one.user[:60]!r}")
    for at, entry in enumerate(examples.entries):
        tokens = Examples.tokens(entry)
        if tokens > _LONG_EXAMPLE:
            yield _warning(
                "long-example", f"examples[{at}]", f"about {tokens} tokens; every turn pays them"
            )
        if template.reasoning is not None and not entry.reasoning:
            yield _warning(
                "example-without-thought",
                f"examples[{at}]",
                "the template asks for a thought, and the example shows none",
            )
    for language in {entry.language for entry in examples.entries} or {None}:
        total = sum(map(Examples.tokens, examples.choose(language)))
        if total > _LONG_EXAMPLES:
            yield _warning(
                "long-examples", "examples", f"about {total} tokens together in each turn"
            )
            break


def _tests(template: PromptTemplate, language_of: LanguageOf) -> Iterator[Complaint]:
    del language_of
    tests = template.file.tests
    if not tests:
        yield _warning("no-tests", "tests", "nothing shows that it works")
    for at, test in enumerate(tests):
        if test.expect == type(test.expect)():
            yield _warning("empty-test", f"tests[{at}]", "it expects nothing")
    tried = {test.language for test in tests}
    missing: Sequence[str] = [
        each for each in template.file.scenario.languages if each not in tried
    ]
    if tests and missing:
        yield _warning("no-tests", "tests", f"no test is in {', '.join(missing)}")
