"""What a process and its children have used: CPU time and memory, from /proc."""

import os
import time
from pathlib import Path

__all__ = ["Tree"]

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LOOK_S = 0.4
SETTLE_S = 6.0


class Tree:
    """A process and all that it has started, threads included."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """User and system time so far, of children that have ended, too."""
        fields = (self._stat(pid) for pid in self._pids())
        return sum(sum(int(each) for each in found[11:15]) for found in fields if found) * TICK_S

    def settled_cpu_s(self) -> float:
        """The same, once what the load left behind (rows to write, say) is done with."""
        until = time.monotonic() + SETTLE_S
        before = self.cpu_s()
        while time.monotonic() < until:
            time.sleep(LOOK_S)
            after = self.cpu_s()
            if after - before <= 0.02 * LOOK_S:
                return after
            before = after
        return before

    def rss_mb(self) -> float:
        """Resident memory of all together; pages that two of them share count twice."""
        fields = (self._stat(pid) for pid in self._pids())
        return sum(int(found[21]) for found in fields if found) * PAGE / 1e6

    def _pids(self) -> list[int]:
        parents: dict[int, int] = {}
        for each in Path("/proc").iterdir():
            if each.name.isdigit() and (found := self._stat(int(each.name))):
                parents[int(each.name)] = int(found[1])
        pids = [self.pid]
        for pid in pids:
            pids += [child for child, parent in parents.items() if parent == pid]
        return pids

    @staticmethod
    def _stat(pid: int) -> list[str]:
        """The fields after the name, so that the state is the first; none if it has ended."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            return []
