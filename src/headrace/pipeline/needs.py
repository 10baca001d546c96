"""What a prompt template, or a test of one, requires of a model, held against the declared ones."""

from headrace.config.model import RequireConfig
from headrace.models.box import ModelBox
from headrace.prompts.file import Requirements

__all__ = ["missed_by", "required"]


def missed_by(models: ModelBox, name: str | None, needs: Requirements) -> list[str]:
    """What a model does not meet, in words; of a route, what its best model does not.

    Raises:
        UnknownModel: there is none of that name.
    """
    target = models.get(name)
    known = models.missed(required(needs))
    reasons = min((list(known.get(model.name, ())) for model in target.order()), key=len)
    if needs.context_tokens is not None and target.context_tokens < needs.context_tokens:
        reasons.insert(
            0,
            f"needs a context of {needs.context_tokens} tokens; the model {target.name!r} "
            f"has {target.context_tokens}",
        )
    return reasons


def required(needs: Requirements) -> RequireConfig:
    """The same in a route's words, without the context, which is looked at as it really is."""
    return RequireConfig(tasks=needs.tasks, position=needs.position)
