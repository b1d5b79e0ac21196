"""Bit widths and sparsity chosen for you: a Pareto front of accuracy against cost, each point a run card.

    found = search(card, float_model, dataset, folder, minutes=60)
    for point in found.front: point.accuracy, point.weight_bits, point.card

Cost is the sum over all weights of (not zero) x bits. Three things make it fast. *Sensitivity* first: each layer alone
is quantized to each width, without training, and run in the emulator; what a layer loses says how few bits it may try.
A greedy walk over these gives candidate widths per layer, from generous to starved: always the layer whose next bit
saves the most for the least loss. Each candidate is crossed with sparsities. *Retraining* is spent only on candidates
whose cost no trained point undercuts with a better accuracy, the most promising gap in the front first: short
quantization-aware pruning from the float weights, with the float model as teacher. Every trained point is written to
`folder` at once; a search that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fpgaml.card.changes import changed
from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Scope, Stage
from fpgaml.card.toml import card_of, to_toml
from fpgaml.datasets.dataset import Dataset
from fpgaml.errors import ConfigError, FormatError
from fpgaml.exact.comparison import classify
from fpgaml.exact.emulate import run
from fpgaml.exact.pareto import pareto
from fpgaml.frontend.graph import WEIGHTED
from fpgaml.frontend.read import read
from fpgaml.ir.fixed import Array
from fpgaml.training.compression import compress
from fpgaml.training.fit import split_of
from fpgaml.training.twin import CALIBRATION_IMAGES, twin
from fpgaml.whole import made_whole

WIDTHS = (2, 3, 4, 5, 6, 8)
SPARSITIES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
EPOCHS = 8  # of retraining one candidate
LEAST = 0.95  # accuracy of interest
ENOUGH = 0.001  # of accuracy: a point this near the best is as good (chance alone: 0.0013 on 12,000 images)
PROBE_IMAGES = 2000  # held-out training images that sensitivity is measured on

SearchProgress = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """Weight bits of each layer and a sparsity over all; `cost` estimates the bits of the weights that stay."""

    bits: tuple[tuple[str, int], ...]
    sparsity: float
    cost: float

    @property
    def name(self) -> str:
        """A name of letters and digits that tells it apart from all others."""
        widths = "".join(str(bits) for _, bits in self.bits)
        return f"w{widths}_s{round(1000 * self.sparsity):03d}"


@dataclass(frozen=True)
class TrainedPoint:
    """A trained candidate: accuracy of the emulated hardware on held-out and test images, and what it costs."""

    name: str
    validation_accuracy: float
    accuracy: float
    nonzero: int
    weight_bits: int
    card: str


@dataclass(frozen=True)
class Found:
    """All trained points, and those that no other beats in accuracy and cost (by held-out images)."""

    points: tuple[TrainedPoint, ...]

    @property
    def front(self) -> tuple[TrainedPoint, ...]:
        """The Pareto front, cheapest first."""
        best = set(pareto([(point.weight_bits, point.validation_accuracy) for point in self.points]))
        chosen = {(float(p.weight_bits), p.validation_accuracy): p for p in self.points}
        return tuple(chosen[key] for key in sorted(best))


def search(
    card: RunCard,
    model: keras.Model,
    dataset: Dataset,
    folder: Path,
    *,
    minutes: float = 60.0,
    points: int = 24,
    progress: SearchProgress | None = None,
) -> Found:
    """Search from a trained float `model` until `points` are trained or `minutes` are over; what `folder` has counts.

    Raises: FormatError if `folder` holds points of another search; ConfigError if no point is trained in time;
    ConfigError, UnsupportedLayer from the stages.
    """
    say = progress or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * minutes
    done = {point.name: point for point in _load(folder, card)}
    held = split_of(dataset, card.training.validation_split or 0.1, card.training.seed)[1]
    say("measuring how few bits each layer can bear")
    plan = candidates(model, sensitivity(card, model, dataset, held[:PROBE_IMAGES]))
    while len(done) < points and time.monotonic() < end:
        chosen = choose(plan, done)
        if chosen is None:
            break
        point = train_point(card, model, dataset, held, chosen)
        _save(folder, point)
        done[point.name] = point
        say(f"{point.name}: {point.accuracy:.2%} with {point.weight_bits:,} bits ({point.nonzero:,} weights)")
    if not done:
        raise ConfigError(f"search trained no point in {minutes:g} minutes and {points} points; give it more of both")
    return Found(tuple(done.values()))


def sensitivity(card: RunCard, model: keras.Model, dataset: Dataset, images: Array) -> dict[str, dict[int, float]]:
    """Return by layer and weight bits the accuracy lost if that layer alone is quantized, without training."""
    calibration = dataset.values(dataset.x_train[:CALIBRATION_IMAGES])
    codes, labels = dataset.x_train[images], dataset.y_train[images]
    names = [layer.name for layer in model.layers if isinstance(layer, WEIGHTED)]

    def accuracy(bits: Mapping[str, int]) -> float:
        layers = {name: {"weight_bits": width} for name, width in bits.items()}
        own = changed(card, {"quantization": {"weight_bits": 8, "activation_bits": 8, "layers": layers}}).quantization
        made = twin(model, own, calibration)
        network = read(made, name=card.name, input_type=dataset.input_type, scale_bits=own.scale_bits).network
        return float((classify(run(network, codes)) == labels).mean())

    whole = accuracy({})
    return {name: {width: whole - accuracy({name: width}) for width in WIDTHS} for name in names}


def candidates(model: keras.Model, loss: Mapping[str, Mapping[int, float]]) -> tuple[Candidate, ...]:
    """Return the widths of a greedy walk from the widest to the narrowest, each with every sparsity."""
    weights = {name: int(np.prod(model.get_layer(name).kernel.shape)) for name in loss}
    bits = dict.fromkeys(loss, max(WIDTHS))
    walk = [dict(bits)]
    while any(width > min(WIDTHS) for width in bits.values()):
        steps = []
        for name, width in bits.items():
            if width > min(WIDTHS):
                narrower = max(w for w in WIDTHS if w < width)
                price = max(0.0, loss[name][narrower] - loss[name][width]) + 1e-4
                steps.append((price / (weights[name] * (width - narrower)), name, narrower))
        _, name, narrower = min(steps)
        bits[name] = narrower
        walk.append(dict(bits))
    return tuple(
        Candidate(tuple(widths.items()), sparsity, (1 - sparsity) * sum(weights[n] * w for n, w in widths.items()))
        for widths in walk
        for sparsity in SPARSITIES
    )


def choose(plan: tuple[Candidate, ...], done: Mapping[str, TrainedPoint]) -> Candidate | None:
    """Return the candidate in the widest gap of cost between trained points, on a log scale; None if none is left.

    The dearest is first. Where a trained point fell below `LEAST` accuracy, nothing cheaper is tried; where one is
    within `ENOUGH` of the best, nothing dearer. Of candidates of like cost, sparser ones of more bits and fuller ones
    of fewer take turns.
    """
    ground = max((p.weight_bits for p in done.values() if p.validation_accuracy < LEAST), default=0)
    best = max((p.validation_accuracy for p in done.values()), default=0.0)
    ceiling = min((p.weight_bits for p in done.values() if p.validation_accuracy >= best - ENOUGH), default=np.inf)
    left = [candidate for candidate in plan if candidate.name not in done and ground < candidate.cost < ceiling]
    if not left:
        return None
    trained = [np.log(max(point.weight_bits, 1)) for point in done.values()]
    if not trained:
        return max(left, key=lambda candidate: candidate.cost)

    def gap(candidate: Candidate) -> float:
        return float(min(abs(np.log(candidate.cost) - cost) for cost in trained))

    widest = max(gap(candidate) for candidate in left)
    near = [candidate for candidate in left if gap(candidate) >= 0.9 * widest]
    return near[len(done) % len(near)]


def train_point(card: RunCard, model: keras.Model, dataset: Dataset, held: Array, candidate: Candidate) -> TrainedPoint:
    """Retrain a copy of `model` as the candidate says and measure it in the emulator."""
    keras.utils.clear_session()
    own = point_card(card, candidate)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    compressed = compress(own, copy, dataset)
    bits = own.quantization.scale_bits
    network = read(compressed.model, name=own.name, input_type=dataset.input_type, scale_bits=bits).network
    last = compressed.stages[-1]
    return TrainedPoint(
        name=candidate.name,
        validation_accuracy=float((classify(run(network, dataset.x_train[held])) == dataset.y_train[held]).mean()),
        accuracy=float((classify(run(network, dataset.x_test)) == dataset.y_test).mean()),
        nonzero=last.nonzero,
        weight_bits=last.weight_bits,
        card=to_toml(own),
    )


def point_card(card: RunCard, candidate: Candidate) -> RunCard:
    """Return the run card that makes the candidate from the float network of `card`."""
    stages = [Stage.DISTILL, Stage.QAP if candidate.sparsity else Stage.QAT]
    return changed(
        card,
        {
            "name": f"{card.name}_{candidate.name}",
            "compress": [str(stage) for stage in stages],
            "compression": {"sparsity": candidate.sparsity, "scope": str(Scope.GLOBAL), "epochs": EPOCHS},
            "quantization": {
                "epochs": EPOCHS,
                "layers": {name: {"weight_bits": bits} for name, bits in candidate.bits},
            },
        },
    )


def _save(folder: Path, point: TrainedPoint) -> None:
    """Write a point and its card; each file appears whole."""
    for name, text in ((f"{point.name}.toml", point.card), (f"{point.name}.json", json.dumps(vars(point), indent=1))):
        with made_whole(folder / name) as part:
            part.write_text(text, encoding="utf-8")


def _load(folder: Path, card: RunCard) -> list[TrainedPoint]:
    """Return the points in `folder`, all of the float network of `card`."""
    points = []
    for path in sorted(folder.glob("w*.json")):
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            points.append(TrainedPoint(**record))
            other = card_of(tomllib.loads(points[-1].card), str(path))
        except (OSError, ValueError, TypeError, ConfigError) as error:
            raise FormatError(f"{path} is not a point of a search: {error}") from error
        for section in ("data", "model", "training"):
            if getattr(other, section) != getattr(card, section):
                raise FormatError(
                    f"{path} is a point of another search: its [{section}] is not that of card {card.name!r}; move "
                    f"{folder} away, and search anew"
                )
    return points
