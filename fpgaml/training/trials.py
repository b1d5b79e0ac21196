"""How far an accuracy can be trusted: k-fold cross-validation and repetition with several seeds.

    for trial in cross_validate(card, dataset, folds=5): ...      each image is tested once
    for trial in repeat(card, dataset, seeds=(0, 1, 2)): ...      same images, other weights and order
    summary = summarize(trials)                                   mean and standard deviation

Each trial trains the float network, takes it through the card's `compress` stages, reads the result as a Network and
runs that in the emulator: its accuracy is the hardware's, bit for bit. A `check` may go on and hold the generated C++
against both (cpp.mismatches). Trials come one at a time, so that a caller can show and keep each, and leave out those
it has (`skip`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import mean, stdev

import keras
import numpy as np
from sklearn.model_selection import StratifiedKFold

from fpgaml.card.changes import changed
from fpgaml.card.runcard import RunCard
from fpgaml.datasets.dataset import Dataset
from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.comparison import classify
from fpgaml.exact.emulate import run
from fpgaml.exact.history import Epoch
from fpgaml.frontend.read import read
from fpgaml.ir.fixed import Floats
from fpgaml.ir.network import Network
from fpgaml.training import build, fit
from fpgaml.training.compression import compress

TrialProgress = Callable[[str, str, Epoch], None]  # trial, stage, epoch
# network, images, QKeras' logits (None where what is on no grid was rounded): how many logits are unlike
Check = Callable[[Network, Dataset, Floats | None], int]


@dataclass(frozen=True)
class Trial:
    """One training: its name ("fold 1", "seed 7"), test accuracies (0 to 1) and how many images they are of.

    `unlike` counts the logits that differ between QKeras, emulator and C simulation; None: not simulated.
    """

    name: str
    float_accuracy: float
    hardware_accuracy: float
    nonzero: int
    weight_bits: int
    images: int
    unlike: int | None = None


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of the sample, n - 1) over trials; of a single trial the deviation is 0."""

    mean: float
    deviation: float
    trials: int

    def __str__(self) -> str:
        return f"{self.mean:.2%} ± {self.deviation:.2%}"


def cross_validate(
    card: RunCard,
    dataset: Dataset,
    folds: int,
    *,
    skip: Collection[str] = (),
    progress: TrialProgress | None = None,
    check: Check | None = None,
) -> Iterator[Trial]:
    """Train on all folds but one and test on that one, for each fold of the training images, stratified by class.

    Raises: ConfigError for `folds` outside 2 to 10; DataError if a class has fewer images than there are folds.
    """
    for number, part in enumerate(split_folds(dataset, folds, card.training.seed), 1):
        name = f"fold {number}"
        if name not in skip:
            yield trial(name, card, part, progress, check)


def repeat(
    card: RunCard,
    dataset: Dataset,
    seeds: Iterable[int],
    *,
    skip: Collection[str] = (),
    progress: TrialProgress | None = None,
    check: Check | None = None,
) -> Iterator[Trial]:
    """Train once for each seed and test on the test images."""
    for seed in seeds:
        name = f"seed {seed}"
        if name not in skip:
            yield trial(name, changed(card, {"training": {"seed": seed}}), dataset, progress, check)


def trial(
    name: str,
    card: RunCard,
    dataset: Dataset,
    progress: TrialProgress | None = None,
    check: Check | None = None,
) -> Trial:
    """Train, compress, emulate and check once."""
    keras.utils.clear_session()  # else the graphs of all trials stay in memory

    def tell(stage: str, epoch: Epoch) -> None:
        if progress:
            progress(name, stage, epoch)

    model = build.build(card.model, dataset.shape, seed=card.training.seed, folder=card.folder)
    build.check_outputs(model, dataset.classes)
    fit.train(model, dataset, card.training, progress=lambda epoch: tell("float", epoch))
    compressed = compress(card, model, dataset, progress=tell)
    bits = card.quantization.scale_bits
    reading = read(compressed.model, name=card.name, input_type=dataset.input_type, scale_bits=bits)
    network = reading.network
    found = classify(run(network, dataset.x_test))
    first, last = compressed.stages[0], compressed.stages[-1]
    right = float((found == dataset.y_test).mean())
    unlike = None
    if check:
        logits = fit.predict(compressed.model, dataset, dataset.x_test).astype(np.float64)
        unlike = check(network, dataset, None if reading.apart else logits)
    return Trial(name, first.accuracy, right, last.nonzero, last.weight_bits, len(found), unlike)


def split_folds(dataset: Dataset, folds: int, seed: int) -> Iterator[Dataset]:
    """Return for each fold the dataset whose test images are that fold of the training images.

    Raises: as `cross_validate`.
    """
    if not 2 <= folds <= 10:
        raise ConfigError(f"cross-validation must have 2 to 10 folds, not {folds}")
    counts = np.bincount(dataset.y_train, minlength=dataset.classes)
    if counts.min() < folds:
        scarce = int(counts.argmin())
        raise DataError(
            f"class {dataset.names[scarce]!r} has {counts[scarce]} images, too few for {folds} folds: each fold must "
            "have at least one; ask for fewer folds, or leave the class out with data.classes"
        )
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(dataset.y_train, dataset.y_train)
    for learn, held in parts:
        yield replace(
            dataset,
            x_train=dataset.x_train[learn],
            y_train=dataset.y_train[learn],
            x_test=dataset.x_train[held],
            y_test=dataset.y_train[held],
            validation=0,
            raw_test=None,
        )


def summarize(trials: Collection[Trial]) -> dict[str, Spread]:
    """Return the spread of float and hardware accuracy, by name.

    Raises: DataError if there is no trial.
    """
    if not trials:
        raise DataError("there must be at least one trial to summarize")
    columns = {
        "float": [one.float_accuracy for one in trials],
        "hardware": [one.hardware_accuracy for one in trials],
    }
    return {
        name: Spread(mean(values), stdev(values) if len(values) > 1 else 0.0, len(values))
        for name, values in columns.items()
    }
