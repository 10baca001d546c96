"""The tool `retrieval`: the model searches the knowledge base, as the caller may read it."""

from collections.abc import Mapping

from headrace.access.principal import Principal
from headrace.knowledge.passage import Retriever
from headrace.pipeline.steps.ground.lookup import roles_of
from headrace.pipeline.tools.settings import RetrievalToolSettings
from headrace.pipeline.tools.tool import Result

__all__ = ["DESCRIPTION", "PARAMETERS", "RetrievalTool"]

DESCRIPTION = (
    "Searches the knowledge base. Returns numbered passages; put the number of the passage behind "
    "each statement of the answer that stands on it, like [1]."
)
PARAMETERS: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "query": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "The question, in plain words.",
        }
    },
    "required": ["query"],
    "additionalProperties": False,
}


class RetrievalTool:
    """Finds passages of documents that the caller's role may read."""

    def __init__(self, settings: RetrievalToolSettings, knowledge: Retriever) -> None:
        self._settings = settings
        self._knowledge = knowledge

    async def __call__(self, arguments: Mapping[str, object], principal: Principal) -> Result:
        found = await self._knowledge.search(
            str(arguments["query"]),
            limit=self._settings.passages,
            roles=roles_of(principal),
            filters=self._settings.filters or None,
        )
        return Result(passages=[each for each in found if each.score >= self._settings.min_score])
