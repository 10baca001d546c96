"""What a prompt template, or a test of one, requires of a model, held against the declared ones."""

from headrace.config.model import RequireConfig
from headrace.models.box import ModelBox
from headrace.prompts.file import Requirements

__all__ = ["fitting", "missed_by", "required"]


def missed_by(models: ModelBox, name: str | None, needs: Requirements) -> list[str]:
    """What a model does not meet, in words; of a route, what its best model does not.

    Raises:
        UnknownModel: there is none of that name.
    """
    return min(_missed(models, name, needs).values(), key=len)


def fitting(models: ModelBox, name: str | None, needs: Requirements) -> frozenset[str]:
    """The models behind a name that meet all; raises as `missed_by`."""
    return frozenset(each for each, missed in _missed(models, name, needs).items() if not missed)


def required(needs: Requirements) -> RequireConfig:
    """The same in a route's words, without the context, which is looked at as it really is."""
    return RequireConfig(tasks=needs.tasks, position=needs.position)


def _missed(models: ModelBox, name: str | None, needs: Requirements) -> dict[str, list[str]]:
    known = models.missed(required(needs))
    found: dict[str, list[str]] = {}
    for model in models.get(name).order():
        reasons = list(known.get(model.name, ()))
        if needs.context_tokens is not None and model.context_tokens < needs.context_tokens:
            reasons.insert(
                0,
                f"needs a context of {needs.context_tokens} tokens; the model {model.name!r} "
                f"has {model.context_tokens}",
            )
        found[model.name] = reasons
    return found
