"""`tools:` in headrace.yaml: what is wrong is said with file, line and field."""

from pathlib import Path

import pytest

from headrace.config.node import parse_yaml
from headrace.errors import ConfigError
from headrace.pipeline.tools.settings import read_tools

HTTP = "a:\n  description: d\n  http: {url: 'https://x.org/{q}', parameters: {type: object, properties: {q: {}}}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {}", "h.yaml:1: a: expected one of retrieval, http and mcp, found none"),
        ("a:\n  retrieval: {}\n  mcp: {url: 'https://x.org'}", "found retrieval and mcp"),
        ("'1 2': {}", "'1 2' cannot name a tool"),
        ("a:\n  retreival: {}", "unknown field 'retreival'"),
        ("a:\n  retrieval: {}", "h.yaml:2: a.retrieval: the service has no knowledge base"),
        (HTTP.replace("{q}'", "{r}'"), "a.http.url: `{r}` is none of the arguments"),
        (HTTP.replace("x.org", "{q}"), "the host is fixed"),
        (HTTP.replace("https", "ftp"), "expected an http:// or https:// address"),
        (HTTP.replace("x.org", "u:p@x.org"), "a user name or password has no place in it"),
        (HTTP.replace("  description: d\n", ""), "the field 'description' is missing"),
        (HTTP.replace("type: object", "type: array"), "expected a JSON Schema with `type: object`"),
        (
            HTTP.replace("q: {}", "q: {$ref: 'https://e.org/s'}"),
            "not a JSON Schema that can be used",
        ),
        (HTTP.replace("q: {}", "q: {type: strnig}"), "not a JSON Schema that can be used"),
        ("a:\n  mcp: {}", "expected either `command` or `url`"),
        ("a:\n  mcp: {command: [x], url: 'https://x.org'}", "expected either `command` or `url`"),
        ("a:\n  mcp: {url: 'https://x.org', allow: [ten]}", "a.mcp.allow[0]: expected an address"),
        ("[a]", "expected a mapping"),
    ],
)
def test_a_mistake_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_tools(parse_yaml(text, "h.yaml", {}, root=Path()), has_knowledge=False)
    assert said in error.value.message
    assert error.value.message.startswith("h.yaml:")


def test_secrets_come_from_the_environment_and_stand_in_no_error() -> None:
    text = HTTP + "  timeout_s: ${KEY}\n"
    with pytest.raises(ConfigError) as error:
        read_tools(parse_yaml(text, "h.yaml", {"KEY": "s3cret"}, root=Path()), has_knowledge=False)
    assert "s3cret" not in error.value.message
    text = HTTP.replace("parameters", "headers: {k: '${KEY}'}, parameters")
    tools = read_tools(
        parse_yaml(text, "h.yaml", {"KEY": "s3cret"}, root=Path()), has_knowledge=False
    )
    assert tools["a"].http is not None
    assert tools["a"].http.headers == {"k": "s3cret"}
