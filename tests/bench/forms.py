"""Who is measured in which form, and how samples become tables.

All take their turns in each round, so that a slow moment of the machine meets them all.
"""

import dataclasses
import statistics
import tempfile
from collections.abc import Callable, Iterable
from typing import TypeVar

from tests.bench.lab import MissingError, Run, compile_helper
from tests.bench.peers import Command, Peer, found_peers

MS = 1e-6
"""Milliseconds in a nanosecond."""

_T = TypeVar("_T")

Row = dict[str, float | str]
Table = dict[str, Row]


@dataclasses.dataclass(frozen=True)
class Lab:
    """What a measure works with.

    Attributes:
        folder: for everything that is made.
        rounds: how often each figure is taken.
        orphans: how many of them.
        peers: who takes part.
    """

    folder: str
    rounds: int = 15
    orphans: int = 10_000
    peers: tuple[Peer, ...] = ()

    @property
    def helper(self) -> str:
        """The compiled helper."""
        return compile_helper(self.folder)

    def run(self, command: Command, stdout: int | None = None) -> Run:
        """Start a program as PID 1."""
        return Run(self.helper, command, self.folder, stdout)

    def single(self, peer: Peer, *mode: str) -> Command | None:
        """Command line of the single-command form with the helper as its command; None where there is none."""
        return None if peer.single is None else [*peer.single, self.helper, *mode]

    def service(self, peer: Peer) -> Command | None:
        """Command line with the helper as a service; None where there is none."""
        return None if peer.service is None else peer.service(tempfile.mkdtemp(dir=self.folder), self.helper)

    def forms(self, peers: Iterable[Peer]) -> dict[str, Command]:
        """Every way to run the helper, named by the peer and, where it has both, by the form."""
        found = {}
        for peer in peers:
            single, service = self.single(peer), self.service(peer)
            both = single is not None and service is not None
            if single is not None:
                found[peer.name + " run --" * both] = single
            if service is not None:
                found[peer.name + " service" * both] = service
        return found

    def ours(self) -> Peer:
        """Our own entry among the peers."""
        return next(peer for peer in self.peers if peer.name == "pausevisor")


def make_lab(folder: str, *, rounds: int, orphans: int, names: list[str]) -> Lab:
    """A lab with every peer that is there, or those named, and always with ours and none."""
    wanted = {*names, "none", "pausevisor"}
    peers = tuple(peer for peer in found_peers(folder) if not names or peer.name in wanted)
    return Lab(folder, rounds, orphans, peers)


def take_turns(lab: Lab, forms: dict[str, Command], take: Callable[[Command], _T]) -> dict[str, list[_T]]:
    """One sample of each form in each round; a form that fails has no further turns."""
    samples: dict[str, list[_T]] = {name: [] for name in forms}
    failed: set[str] = set()
    for _ in range(lab.rounds):
        for name, command in forms.items():
            if name in failed:
                continue
            try:
                samples[name].append(take(command))
            except MissingError:
                failed.add(name)
    return samples


def medians(samples: dict[str, list[float]], unit: str) -> Table:
    """A table of medians; a dash for a form that gave no sample."""
    return {name: {unit: statistics.median(values)} if values else {unit: "-"} for name, values in samples.items()}
