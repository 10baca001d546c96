"""The rows of a batch: one request each, checked before the first is asked."""

from collections.abc import Iterable, Iterator

import msgspec

from headrace.workflows.batch.job import BatchProblem, Endpoint

__all__ = ["BatchRequest", "check_requests", "read_requests"]

MOST_ROWS = 1_000_000
MOST_PROBLEMS = 100


class BatchRequest(msgspec.Struct, frozen=True):
    """One line of an input file."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


_decode = msgspec.json.Decoder(BatchRequest).decode
_is_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_requests(lines: Iterable[bytes]) -> Iterator[BatchRequest]:
    """The requests of a file that has been checked."""
    return (_decode(line) for line in lines if line.strip())


def check_requests(lines: Iterable[bytes], endpoint: Endpoint) -> tuple[int, list[BatchProblem]]:
    """How many requests there are, and what is wrong with them: the first hundred problems."""
    problems: list[BatchProblem] = []
    seen: set[bytes] = set()
    rows = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        rows += 1
        found = _problem(line, number, endpoint, seen)
        if found is not None and len(problems) < MOST_PROBLEMS:
            problems.append(found)
        if rows > MOST_ROWS:
            message = f"more than {MOST_ROWS:,} requests; split the file"
            return rows, [BatchProblem(code="too_many_requests", message=message)]
    if not rows:
        problems.append(BatchProblem(code="empty_file", message="the input file has no requests"))
    return rows, problems


def _problem(line: bytes, number: int, endpoint: Endpoint, seen: set[bytes]) -> BatchProblem | None:
    try:
        request = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"{error}; a line is {{custom_id, method, url, body}}"
        return BatchProblem(code="invalid_json_line", message=message, line=number)

    def problem(code: str, message: str, param: str) -> BatchProblem:
        return BatchProblem(code=code, message=message, line=number, param=param)

    if request.method != "POST":
        return problem("invalid_method", f"'method' is {request.method!r}, not 'POST'", "method")
    if request.url != endpoint:
        message = f"'url' is {request.url!r}, but the batch is for {endpoint!r}"
        return problem("invalid_url", message, "url")
    name = request.custom_id.encode("utf-8", "surrogatepass")
    if not name:
        return problem("missing_custom_id", "'custom_id' is empty", "custom_id")
    if name in seen:
        message = f"the custom_id {request.custom_id!r} came before"
        return problem("duplicate_custom_id", message, "custom_id")
    seen.add(name)
    try:
        body = _is_object(request.body)
    except (msgspec.DecodeError, RecursionError):
        return problem("invalid_body", "'body' is not a JSON object", "body")
    if bytes(body.get("stream", b"false")) == b"true":
        return problem("stream_not_allowed", "a row of a batch cannot be streamed", "body.stream")
    return None
