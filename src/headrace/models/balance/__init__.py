"""Balancing: which deployment of a model gets a call, and what becomes of one that fails.

Read member.py (what a deployment and a call are), balancer.py (tickets), lanes.py and lane.py (the
choice), state.py (cost of one member, from latency.py, limit.py, quota.py and health.py), line.py
(waiting when all are full), retry.py and hedge.py (second attempts). docs/balancing.md says how it behaves.
"""

from headrace.models.balance.balancer import Balancer
from headrace.models.balance.errors import NoDeploymentLeft, Overloaded
from headrace.models.balance.member import Demand, Member, Outcome
from headrace.models.balance.retry import Retry
from headrace.models.balance.settings import BalanceSettings
from headrace.models.balance.snapshot import MemberSnapshot
from headrace.models.balance.ticket import Ticket

__all__ = [
    "BalanceSettings",
    "Balancer",
    "Demand",
    "Member",
    "MemberSnapshot",
    "NoDeploymentLeft",
    "Outcome",
    "Overloaded",
    "Retry",
    "Ticket",
]
