"""What one choice of a deployment costs on the event loop.

    python bench/balancing/pick.py [--calls 30000]

With four calls outstanding a deployment: `pick` is getting a ticket, `cycle` all there is to a call
(ticket, first byte, end). Microseconds of CPU time in the least disturbed of five rounds, and what
was aimed at.
"""

import argparse
import time
from random import Random

from headrace.models.balance import Balancer, Demand, Member, Outcome, Ticket

OUTSTANDING = 4
ROUNDS = 5
AIMS_US = {2: 5.0, 200: 20.0}


def measure(count: int, calls: int, *, prefixes: int) -> tuple[float, float]:
    """Seconds for a pick and for a whole call."""
    random = Random(1)
    balancer = Balancer([Member(key=f"m{number}") for number in range(count)], random=random)
    demands = [
        Demand(size=500.0, prefix=number % prefixes if prefixes else None) for number in range(997)
    ]
    open_tickets: list[Ticket] = []
    picking = 0.0
    began = time.thread_time()
    for number in range(calls):
        asked = time.thread_time()
        ticket = balancer.try_acquire(demands[number % len(demands)])
        picking += time.thread_time() - asked
        assert ticket is not None
        open_tickets.append(ticket)
        if len(open_tickets) > count * OUTSTANDING:
            done = open_tickets.pop(int(random.random() * len(open_tickets)))
            done.first_byte()
            done.done(Outcome.OK, tokens=10)
    return picking / calls, (time.thread_time() - began) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=30_000)
    options = parser.parse_args()
    print(f"{'deployments':<22}{'pick us':>9}{'cycle us':>10}{'aim us':>8}")
    for count in (2, 8, 50, 200):
        for prefixes in (0, 1000):
            rounds = [measure(count, options.calls, prefixes=prefixes) for _ in range(ROUNDS)]
            pick, cycle = (min(column) * 1e6 for column in zip(*rounds, strict=True))
            name = f"{count}{', with prefix' if prefixes else ''}"
            aim = f"{AIMS_US[count]:>8.0f}" if count in AIMS_US else ""
            print(f"{name:<22}{pick:>9.1f}{cycle:>10.1f}{aim}")


if __name__ == "__main__":
    main()
