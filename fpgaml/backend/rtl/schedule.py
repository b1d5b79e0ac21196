"""When the beats of an image leave: the cycles of a streaming design, from the timing of its stages alone.

    latency, interval = cycles(lowered)

No data, no Verilog: each stage does its steps in order, and stands still while what it has sent off is not taken
(stage.py). Followed cycle by cycle, with images back to back and an output that is always taken, this gives exactly
what simulation measures (tests/backend/test_rtl.py).
"""

from __future__ import annotations

from fpgaml.backend.rtl.lowering import Lowered
from fpgaml.backend.rtl.stage import Steps

IMAGES = 3  # the third follows the second as every later one does its own


class Follower:
    """One stage as it goes: the step it stands at, and what is on its way to its output, nearest first in bit 0."""

    def __init__(self, timing: Steps) -> None:
        self.needs, self.takes, self.emits = (one.tolist() for one in (timing.needs, timing.takes, timing.emits))
        self.latency, self.step, self.underway = timing.latency, 0, 0

    @property
    def offers(self) -> bool:
        """Whether a beat stands at the output."""
        return bool(self.underway & 1)

    def would_take(self, taken: bool) -> bool:
        """Return whether it takes a beat if there is one, given whether its own output would be taken."""
        return (not self.offers or taken) and self.takes[self.step]

    def tick(self, offered: bool, taken: bool) -> None:
        """Go on by one cycle."""
        if self.offers and not taken:
            return
        self.underway >>= 1
        if offered or not self.needs[self.step]:
            self.underway |= int(self.emits[self.step]) << (self.latency - 1)
            self.step = (self.step + 1) % len(self.needs)


def cycles(lowered: Lowered, images: int = IMAGES) -> tuple[int, int]:
    """Return latency and initiation interval, in cycles, as `Simulated` has them."""
    stages = [Follower(stage.timing) for stage in lowered.stages]
    beats_in, beats_out = images * lowered.inputs.beats, lowered.output.beats
    sent, got, cycle, first, lasts = 0, 0, 0, 0, list[int]()
    while len(lasts) < images:
        ready = [True]  # of the output, then of each stage from the last to the first
        for stage in reversed(stages):
            ready.append(stage.would_take(ready[-1]))
        if stages[-1].offers:
            got += 1
            if got % beats_out == 0:
                lasts.append(cycle)
        offers = [sent < beats_in, *(stage.offers for stage in stages)]
        if not sent:
            first = cycle  # padding goes on before the first beat is taken
        sent += offers[0] and ready[-1]
        for at, stage in enumerate(stages):
            stage.tick(offers[at], ready[len(stages) - 1 - at])
        cycle += 1
    return lasts[0] - first, lasts[-1] - lasts[-2]
