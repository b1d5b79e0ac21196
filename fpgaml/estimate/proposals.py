"""What to do so that it fits: ``fit(network, design, part)``, ``fit(..., latency_us=5.0)``.

A design is set by how many cycles each layer may take: for a number of cycles, every layer gets the largest valid
reuse factor that keeps it within them, since a layer faster than the slowest only wastes multipliers. Trying the
cycle counts in order gives at most a few dozen designs, each estimated in about a millisecond:

- for a board, the first design (the fastest) that fits, then each layer's factor made smaller where it still fits;
- for a latency, the last design (the cheapest) within it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from fpgaml.errors import ConfigError
from fpgaml.estimate.estimator import LIKELY, UNLIKELY, Estimate, EstimateStage, Utilisation, estimate, utilisation
from fpgaml.estimate.model import CostModel, model
from fpgaml.estimate.walls import Certainty
from fpgaml.ir.network import Network, matrix_size
from fpgaml.target.boards import Part
from fpgaml.target.design import Design, LayerDesign, Strategy, takes, valid_reuse_factors

STEPS = 1.2  # ratio of the cycle counts that are tried
REFINEMENTS = 12  # estimates spent on making single factors smaller


@dataclass(frozen=True)
class Proposal:
    """A design with its estimate, its verdict, and the reuse factor of each layer that has weights."""

    design: Design
    estimate: Estimate
    utilisation: Utilisation
    reuse_factors: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether it is likely to fit and meets no wall that stops the tool."""
        return self.utilisation.probability >= LIKELY and not self.stopped

    @property
    def stopped(self) -> bool:
        """Whether a wall stops the tool."""
        return any(wall.certainty is Certainty.FAILS for wall in self.estimate.walls)


def fit(
    network: Network,
    design: Design,
    part: Part,
    latency_us: float | None = None,
    stage: EstimateStage = EstimateStage.SYNTHESIS,
    known: CostModel | None = None,
) -> tuple[Proposal, ...]:
    """Return proposals for `part` (that take at most `latency_us`), the best first; empty if nothing may fit.

    What surely fits comes first; where nothing does, the likeliest that may (`Verdict.TIGHT`) is returned.
    Without a latency the best is the fastest, with one the cheapest. The design's own strategy is tried and, because
    its reuse saves more, the resource strategy. Only reuse factors that are valid for each layer are proposed.

    Raises: ConfigError if `latency_us` is not above 0.
    """
    if latency_us is not None and not latency_us > 0:
        raise ConfigError(f"latency budget must be above 0 us, not {latency_us}")
    known = known or model()
    found: list[Proposal] = []
    for strategy in dict.fromkeys((design.strategy, Strategy.RESOURCE)):
        base = _with_strategy(network, design, strategy)
        proposal = _search(network, base, part, latency_us, stage, known)
        if proposal is not None and all(proposal.design != other.design for other in found):
            found.append(proposal)
    cost = _cost if latency_us is not None else _time
    return tuple(sorted(found, key=lambda proposal: (not proposal.fits, cost(proposal))))


def propose(network: Network, design: Design, part: Part, stage: EstimateStage, known: CostModel) -> Proposal:
    """Return `design` as a proposal, with its estimate and verdict."""
    found = estimate(network, design, part, known)
    factors = {layer.name: design.reuse_of(layer.name) for layer in network if matrix_size(layer)}
    return Proposal(design, found, utilisation(found, stage), factors)


def _with_strategy(network: Network, design: Design, strategy: Strategy) -> Design:
    """Return `design` with one strategy and, in place of its reuse factors, 1 for every layer with weights."""
    layers = tuple(
        LayerDesign(layer.name, 1, None if takes(layer, strategy, design.io_type) else Strategy.LATENCY)
        for layer in network
        if matrix_size(layer)
    )
    return replace(design, strategy=strategy, reuse_factor=1, per_layer=layers)


def _search(
    network: Network, base: Design, part: Part, latency_us: float | None, stage: EstimateStage, known: CostModel
) -> Proposal | None:
    best: Proposal | None = None
    tight: Proposal | None = None
    for factors in _ladder(network):
        proposal = propose(network, base.with_reuse(factors), part, stage, known)
        if proposal.stopped or (latency_us is not None and proposal.estimate.latency_us.median > latency_us):
            continue
        if proposal.fits:
            best = proposal
            if latency_us is None:
                return _refine(network, proposal, part, stage, known)
        elif proposal.utilisation.probability >= UNLIKELY and (tight is None or _gain(proposal, tight) > 0.02):
            tight = proposal
    if best is not None or tight is None:
        return best
    return _polish(network, tight, part, latency_us, stage, known)


def _gain(proposal: Proposal, other: Proposal) -> float:
    return proposal.utilisation.probability - other.utilisation.probability


def _ladder(network: Network) -> Iterator[dict[str, int]]:
    """Yield the reuse factors for rising numbers of cycles, without repeating a set."""
    sizes = {layer.name: size for layer in network if (size := matrix_size(layer))}
    pixels = {name: _pixels(network, name) for name in sizes}
    last: dict[str, int] = {}
    cycles = 1.0
    most = max((n_in * n_out * pixels[name] for name, (n_in, n_out) in sizes.items()), default=1)
    while cycles < most * STEPS:
        factors = {name: _largest(valid_reuse_factors(*size), cycles / pixels[name]) for name, size in sizes.items()}
        if factors != last:
            yield factors
            last = factors
        cycles = max(cycles + 1, cycles * STEPS)


def _pixels(network: Network, name: str) -> int:
    """Return how many matrix products a layer makes for one image."""
    count = 1
    for size in network.shapes[name][:-1]:
        count *= size
    return count


def _largest(valid: tuple[int, ...], bound: float) -> int:
    return max((factor for factor in valid if factor <= bound), default=valid[0])


def _refine(network: Network, proposal: Proposal, part: Part, stage: EstimateStage, known: CostModel) -> Proposal:
    """Return `proposal` with single reuse factors made smaller, slowest layer first, as long as it fits."""
    sizes = {layer.name: size for layer in network if (size := matrix_size(layer))}
    best = proposal
    for _ in range(REFINEMENTS):
        better = None
        for name in sorted(best.reuse_factors, key=lambda n: -best.reuse_factors[n] * _pixels(network, n)):
            smaller = [f for f in valid_reuse_factors(*sizes[name]) if f < best.reuse_factors[name]]
            if not smaller:
                continue
            trial = propose(network, best.design.with_reuse({name: smaller[-1]}), part, stage, known)
            if trial.fits and _time(trial) < _time(best):
                better = trial
                break
        if better is None:
            return best
        best = better
    return best


def _polish(
    network: Network, proposal: Proposal, part: Part, latency_us: float | None, stage: EstimateStage, known: CostModel
) -> Proposal:
    """Return `proposal` with single reuse factors moved to the next valid one, as long as it gets likelier to fit.

    Larger factors save LUTs and cost block RAM, so the likeliest design is between the steps of the ladder.
    """
    sizes = {layer.name: size for layer in network if (size := matrix_size(layer))}
    best = proposal
    for _ in range(REFINEMENTS):
        trials = [
            propose(network, best.design.with_reuse({name: factor}), part, stage, known)
            for name, size in sizes.items()
            for factor in _neighbours(valid_reuse_factors(*size), best.reuse_factors[name])
        ]
        likelier = [
            one
            for one in trials
            if not one.stopped
            and _gain(one, best) > 0
            and (latency_us is None or one.estimate.latency_us.median <= latency_us)
        ]
        if not likelier or best.fits:
            return best
        best = max(likelier, key=lambda one: one.utilisation.probability)
    return best


def _neighbours(valid: tuple[int, ...], factor: int) -> tuple[int, ...]:
    place = valid.index(factor)
    return valid[max(0, place - 1) : place] + valid[place + 1 : place + 2]


def _time(proposal: Proposal) -> float:
    return proposal.estimate.latency_us.median


def _cost(proposal: Proposal) -> float:
    return max(use.share.median for use in proposal.utilisation.uses)
