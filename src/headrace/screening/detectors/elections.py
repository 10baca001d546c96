"""Elections: how, when and where to vote, who stands, and what came out."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import sign

__all__ = ["ElectionsDetector"]


class ElectionsDetector(ContentDetector):
    """Finds talk of public elections, for policies that want a source or a disclaimer behind it.

    Rules alone. Does not catch: politics without an election; votes of clubs and boards are
    found where they use the same words.
    """

    cost_us = 20

    def __init__(self) -> None:
        kind = "elections"
        signs = [
            sign(kind, 0.85, "election|ballot|polling|vote|voting|voter|candidate|electoral|primaries", r"\b(?:(?:presidential|general|midterm|local|parliamentary|federal|state|rigged|stolen) elections?|election (?:day|results?|fraud|interference|law|officials?)|mail-?in (?:ballots?|voting)|absentee ballots?|polling (?:stations?|places?)|voter (?:registration|id|fraud|turnout)|register to vote|who (?:won|should i vote for|will win) (?:the )?election|electoral (?:college|votes?)|how (?:do|can) i vote|where (?:do|can) i vote|vote (?:for|against) (?:trump|biden|harris|the president))\b"),
            sign(kind, 0.65, "election|ballot", r"\b(?:elections?|ballots?)\b", r"\b(?:leader election|secret ballot of|board)\b"),
            sign(kind, 0.85, "选举|大选|投票站|选票|选民|候选人|竞选|公投", "(?:总统|议会|地方|中期|市长|人大代表|立法会)选举|大选(?:结果|投票|日|中|年|期间)?|投票站|选票|选民(?:登记|资格|证)|竞选(?:总统|连任|纲领|承诺)|选举(?:舞弊|结果|日|制度|法)|总统候选人|全民公投"),
        ]  # fmt: skip
        super().__init__("elections", (kind,), signs)
