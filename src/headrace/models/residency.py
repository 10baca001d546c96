"""Where data may go: rules such as `[eu]`, matched against the regions of deployments."""

from collections.abc import Collection, Sequence

from headrace.config.node import Node

__all__ = ["lies_in", "permitted_regions"]


def lies_in(region: str | None, rule: str) -> bool:
    """Whether a region is one that the rule means: `eu-west` lies in `eu`."""
    if region is None:
        return False
    return region == rule or region.startswith((f"{rule}-", f"{rule}_", f"{rule}."))


def permitted_regions(
    rules: Sequence[str], regions: Collection[str | None], node: Node
) -> frozenset[str] | None:
    """The regions among those given that the rules allow; None: there is no rule.

    Args:
        node: the model or route, for the error.

    Raises:
        ConfigError: the rules leave none, so nothing could ever be answered.
    """
    if not rules:
        return None
    allowed = frozenset(
        region
        for region in regions
        if region is not None and any(lies_in(region, rule) for rule in rules)
    )
    if not allowed:
        where = " or ".join(rules)
        there = ", ".join(sorted(each for each in regions if each is not None)) or "none declared"
        raise node.error(
            f"prompts may only go to {where}, and no deployment lies there",
            hint=f"regions of its deployments: {there}; add `region: {rules[0]}` where it is true",
        )
    return allowed
