"""vLLM's server as far as LoRA adapters go: chats by model name, and adapters loaded while it runs.

Source: vLLM, "LoRA Adapters" (docs/features/lora.md) and
vllm/entrypoints/openai/serving_models.py: paths, statuses and the words of its errors. Not covered:
everything else a chat may ask.
"""

from pathlib import Path

import msgspec

from tests.upstreams.server import Answer, Asked, Server, json_answer

__all__ = ["FakeVllm"]


class FakeVllm:
    """Serves a base and whatever adapters it has been told to load."""

    def __init__(self, server: Server, base: str) -> None:
        self.server = server
        self.base = base
        self.adapters: dict[str, str] = {}
        """Path by name."""
        self.loads = 0
        self.is_updating_allowed = True
        """`VLLM_ALLOW_RUNTIME_LORA_UPDATING`."""
        server.on("POST", "/v1/chat/completions", self._chat)
        server.on("POST", "/v1/load_lora_adapter", self._load)

    def _load(self, asked: Asked) -> Answer:
        if not self.is_updating_allowed:
            return json_answer({"detail": "Not Found"}, 404)
        name, path = str(asked.json()["lora_name"]), str(asked.json()["lora_path"])
        if name in self.adapters:
            return _error(
                400,
                "InvalidUserInput",
                f"The lora adapter '{name}' has already been loaded. If you want to load the "
                "adapter in place, set 'load_inplace' to True.",
            )
        if not (Path(path) / "adapter_config.json").exists():
            return _error(404, "NotFoundError", f"Loading lora {name} failed: No adapter found")
        self.adapters[name] = path
        self.loads += 1
        said = f"Success: LoRA adapter '{name}' added successfully.".encode()
        return Answer(200, [("content-type", "text/plain")], said)

    def _chat(self, asked: Asked) -> Answer:
        model = str(asked.json()["model"])
        if model != self.base and model not in self.adapters:
            return _error(404, "NotFoundError", f"The model `{model}` does not exist.")
        text = f"from {self.adapters.get(model, model)}"
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
        }
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        events = [{**chunk, "choices": [choice]}, {**chunk, "choices": [], "usage": usage}]
        lines = [b"data: " + msgspec.json.encode(each) + b"\n\n" for each in events]
        return Answer(200, [("content-type", "text/event-stream")], [*lines, b"data: [DONE]\n\n"])


def _error(status: int, kind: str, message: str) -> Answer:
    error = {"message": message, "type": kind, "param": None, "code": status}
    return json_answer({"error": error}, status)
