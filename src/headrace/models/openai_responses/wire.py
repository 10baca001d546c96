"""The responses protocol; all but the answers themselves is as in openai/wire.py."""

from collections.abc import Iterable

from headrace.models.backend import Call
from headrace.models.openai.wire import OpenAIWire
from headrace.models.openai_responses.request import response_body
from headrace.models.openai_responses.stream import ResponseReader, deltas_of_response
from headrace.models.remote import Reader, Request
from headrace.types import Delta

__all__ = ["ResponsesWire"]


class ResponsesWire(OpenAIWire):
    """`POST /responses` of one server."""

    def generate(self, call: Call) -> Request:
        """Ask for an answer.

        Raises:
            InvalidRequest: the protocol has no words for what is asked; names the field.
        """
        site = self.site
        return self.request(
            "/responses", response_body(call, site.model, self.quirks, site.provider)
        )

    def reader(self, call: Call) -> Reader:
        del call
        return ResponseReader(self.site)

    def whole(self, call: Call, body: bytes) -> Iterable[Delta]:
        del call
        return deltas_of_response(body, self.site)
