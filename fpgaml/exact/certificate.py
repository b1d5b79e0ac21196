"""What a proof says: for which layers the C++ is the Network for every input, by which argument, assuming what.

certificate.sentence      proved for every input, all 2^6272 of them; or proved except for: ...
certificate.record()      the content of certificate.json
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log2, prod
from typing import Any

from fpgaml.exact.prove import Verdict
from fpgaml.ir.network import Network

TRUSTED = (
    "the number types on symbols (fpgaml/backend/symbolic), which tests hold against ap_fixed.h on 1,386 types",
    "the arguments for each kind of layer (fpgaml/exact/prove.py), which planted faults test",
    "the emulator (fpgaml/exact/emulate.py): it says what the network is",
    "g++ and the processor, which executed the C++",
)
OUTSIDE = (
    "test benches, AXI wrappers and board drivers: those are tested, not proved",
    "what the vendor's synthesis makes of the C++, and all behind it",
)


@dataclass(frozen=True)
class Certificate:
    """A whole proof. seconds: by what was done."""

    network: Network
    design: Mapping[str, str]
    verdicts: tuple[Verdict, ...]
    assumptions: Mapping[str, Any]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def proved(self) -> bool:
        """Whether every layer is equal for every input."""
        return all(verdict.proved for verdict in self.verdicts)

    @property
    def open(self) -> tuple[Verdict, ...]:
        """The layers that are not proved."""
        return tuple(verdict for verdict in self.verdicts if not verdict.proved)

    @property
    def inputs(self) -> str:
        """How many inputs there are, e.g. 2^6272."""
        kind = self.network.input.type
        return f"2^{round(log2(kind.high - kind.low + 1) * prod(self.network.input.dims)):d}"

    @property
    def sentence(self) -> str:
        """What is known, in one sentence."""
        if self.proved:
            layers = len(self.verdicts) - 1  # the last is what leaves the top function
            return f"proved for every input: the C++ is the network in all {layers} layers, for {self.inputs} inputs"
        return f"proved except for: {'; '.join(map(_told, self.open))}"

    def record(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        layers = [{**asdict(v), "proved": v.proved} for v in self.verdicts]
        return {
            "proved": self.proved,
            "sentence": self.sentence,
            "network": {"name": self.network.name, "digest": self.network.digest, "inputs": self.inputs},
            "design": dict(self.design),
            "layers": layers,
            "assumptions": dict(self.assumptions),
            "trusted": list(TRUSTED),
            "outside": list(OUTSIDE),
            "counts": dict(self.counts),
            "seconds": dict(self.seconds),
        }


def _told(verdict: Verdict) -> str:
    """Say what is wrong with a layer and where."""
    place = f" ({verdict.place})" if verdict.place else ""
    name = f"layer {verdict.layer!r}" if verdict.layer else "what leaves the top function"
    return f"{name}: {verdict.reason}{place}"
