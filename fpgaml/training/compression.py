"""From the float network to the one that hardware gets, stage by stage.

    compressed = compress(card, float_model, dataset)
    compressed.model           quantized, ready to be read as a Network
    compressed.stages          accuracy, weights and cost after each stage

`compress = ["distill", "prune", "qat"]` in the card names the stages:

    distill    train on, learning from a teacher's softened answers; every later stage learns from them too (the
               float model may be its own teacher: then this stage trains nothing, and only later ones learn from it)
    svd        each dense matrix becomes two thin ones, where that is smaller; then train on
    prune      train on while the smallest weights become zero (or the weakest neurons are cut)
    qat        the QKeras twin, trained on (training.twin); zeros stay zeros
    qap        the twin, trained on while its smallest weights become zero

Source of distillation: G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network",
arXiv:1503.02531; of quantization-aware pruning: B. Hawks et al., Frontiers in AI 4 (2021) 676564.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Quantization, Stage, Structure
from fpgaml.card.toml import load_card
from fpgaml.datasets.dataset import Dataset
from fpgaml.errors import ConfigError, nearest
from fpgaml.exact.history import Epoch, History
from fpgaml.frontend import store
from fpgaml.frontend.folding import fold
from fpgaml.frontend.graph import WEIGHTED, walk
from fpgaml.ir.fixed import Array
from fpgaml.training import build
from fpgaml.training.fit import Teacher, evaluate, logits_model, predict, train
from fpgaml.training.pruning import Pruner, cut_neurons
from fpgaml.training.twin import CALIBRATION_IMAGES, quantized_kernel, twin

StageProgress = Callable[[str, Epoch], None]

FLOAT_BITS = 32


@dataclass(frozen=True)
class StageResult:
    """A network after one stage: test accuracy (0 to 1), weights, those not zero, and their bits together."""

    stage: str
    accuracy: float
    weights: int
    nonzero: int
    weight_bits: int
    history: History


@dataclass(frozen=True)
class Compressed:
    """The quantized model and how it came to be; the first stage is the float network it started from."""

    model: keras.Model
    stages: tuple[StageResult, ...]


def compress(
    card: RunCard, model: keras.Model, dataset: Dataset, *, progress: StageProgress | None = None
) -> Compressed:
    """Take a trained float `model` through the stages of the card.

    Raises: ConfigError if a stage cannot work on this model, or training diverges.
    """
    model = build.functional(model)
    results = [measure("float", model, dataset, History((), 0, "as given"))]
    teacher: Teacher | None = None
    for stage in card.compress:
        if stage is Stage.DISTILL:
            teacher = teach(card, model, dataset, progress)
        told = None if progress is None else _named(progress, stage)
        model, history = _run(stage, card, model, dataset, teacher, told)
        results.append(measure(str(stage), model, dataset, history))
    return Compressed(model, tuple(results))


def measure(stage: str, model: keras.Model, dataset: Dataset, history: History) -> StageResult:
    """Return accuracy on the test images and the cost of a model's weights (kernels; biases are few)."""
    weights = nonzero = bits = 0
    for layer in model.layers:
        kernel = quantized_kernel(layer)
        if kernel is not None:
            own = int(np.count_nonzero(kernel))
            weights, nonzero, bits = weights + kernel.size, nonzero + own, bits + own * bits_of(layer)
    return StageResult(stage, evaluate(model, dataset), weights, nonzero, bits, history)


def bits_of(layer: keras.layers.Layer) -> int:
    """Return the bits of one weight of a layer: its quantizer's, or 32 in floating point."""
    for place in ("kernel_quantizer_internal", "depthwise_quantizer_internal"):
        quantizer = getattr(layer, place, None)
        if quantizer is not None:
            named = {"binary": 1, "ternary": 2}
            return named.get(type(quantizer).__name__, 0) or int(quantizer.bits)
    return FLOAT_BITS


def teach(card: RunCard, model: keras.Model, dataset: Dataset, progress: StageProgress | None) -> Teacher:
    """Return what the card's teacher says about every training image.

    Raises: ConfigError if the teacher's input or outputs do not fit the student's.
    """
    own = card.compression
    path = card.folder / own.teacher
    if not own.teacher:
        teacher = model
    elif path.suffix == ".toml":
        other = load_card(path)
        teacher = build.build(other.model, dataset.shape, seed=other.training.seed, folder=other.folder)
        _check_teacher(teacher, model, path)
        train(teacher, dataset, other.training, progress=None if progress is None else _named(progress, "teacher"))
    else:
        teacher = store.load(path)
    _check_teacher(teacher, model, path)
    return Teacher(predict(teacher, dataset, dataset.x_train), own.temperature, own.alpha)


def factorize(model: keras.Model, energy: float, ranks: dict[str, int] | None = None) -> keras.Model:
    """Return a float model whose dense matrices are products of two thin ones, where that has fewer weights.

    The rank of each is the least that keeps the share `energy` of the sum of squares, or as `ranks` says. The layer
    keeps its name and bias for the second factor; the first is called ``<name>_low``, without bias.

    Raises: ConfigError if a rank is larger than the matrix allows, or there is no such matrix.
    """
    functional = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    factors: dict[str, tuple[Array, Array]] = {}
    known = [layer.name for layer in functional.layers if isinstance(layer, keras.layers.Dense)]
    for name in ranks or {}:
        if name not in known:
            raise ConfigError(f"rank of layer {name!r}: no such dense layer{nearest(name, known)}")
    for layer in functional.layers:
        if not isinstance(layer, keras.layers.Dense):
            continue
        left, size, right = np.linalg.svd(np.asarray(layer.kernel, np.float64), full_matrices=False)
        kept = np.cumsum(size**2) / (size**2).sum()
        rank = (ranks or {}).get(layer.name) or int(np.searchsorted(kept, energy - 1e-12) + 1)
        if rank > len(size):
            raise ConfigError(f"rank of layer {layer.name!r} must be at most {len(size)}, not {rank}")
        n_in, n_out = layer.kernel.shape
        if rank * (n_in + n_out) < n_in * n_out:
            root = np.sqrt(size[:rank])  # shared, so that both factors have weights of one size
            factors[layer.name] = (left[:, :rank] * root, root[:, np.newaxis] * right[:rank])

    def call(layer: keras.layers.Layer, *inputs: keras.KerasTensor, **options: object) -> keras.KerasTensor:
        if layer.name not in factors:
            return layer(*inputs, **options)
        rank = factors[layer.name][1].shape[0]
        return layer(keras.layers.Dense(rank, use_bias=False, name=f"{layer.name}_low")(inputs[0]))

    thin = keras.models.clone_model(functional, call_function=call)
    for layer in functional.layers:
        weights = layer.get_weights()
        if layer.name in factors:
            low, high = factors[layer.name]
            thin.get_layer(f"{layer.name}_low").set_weights([low])
            weights[0] = high
        thin.get_layer(layer.name).set_weights(weights)
    return thin


def _run(
    stage: Stage,
    card: RunCard,
    model: keras.Model,
    dataset: Dataset,
    teacher: Teacher | None,
    progress: Callable[[Epoch], None] | None,
) -> tuple[keras.Model, History]:
    own, training = card.compression, card.compressing()
    ranks = {name: layer.rank for name, layer in own.layers.items() if layer.rank is not None}
    shares = {name: layer.sparsity for name, layer in own.layers.items() if layer.sparsity is not None}
    pruner: Pruner | None = Pruner.keeping(model) if _has_zeros(model) else None
    match stage:
        case Stage.DISTILL if not own.teacher:
            return model, History((), 0, "the float model is the teacher of the later stages")
        case Stage.DISTILL:
            pass
        case Stage.SVD:
            model = factorize(model, own.energy, ranks)
            pruner = None
        case Stage.PRUNE if own.structure is Structure.NEURONS:
            model = cut_neurons(model, _shares(model, own.sparsity) | shares)
            pruner = None
        case Stage.PRUNE:
            pruner = Pruner(model, sparsity=own.sparsity, scope=own.scope, ramp=own.ramp, per_layer=shares)
        case Stage.QAT | Stage.QAP:
            zeros = _has_zeros(model)
            images = dataset.values(dataset.x_train[:CALIBRATION_IMAGES])
            if stage is Stage.QAT:
                training = card.retraining()
                model = twin(model, card.quantization, images)
                pruner = Pruner.keeping(model) if zeros else None
            else:
                settings: dict[str, Any] = {"sparsity": own.sparsity, "scope": own.scope, "per_layer": shares}
                model = _twin_of_survivors(model, card.quantization, images, settings)
                pruner = Pruner(model, ramp=own.ramp, **settings)
    return model, train(model, dataset, training, progress=progress, teacher=teacher, pruner=pruner)


def _twin_of_survivors(
    model: keras.Model, quantization: Quantization, images: Array, settings: dict[str, Any]
) -> keras.Model:
    """Return the twin of `model` with integer bits that fit the weights which pruning will leave, the large ones."""
    pruned = keras.models.clone_model(model)
    pruned.set_weights(model.get_weights())
    Pruner(pruned, ramp=0, **settings).advance(1.0)
    quantized = twin(pruned, quantization, images)
    for name, folded in fold(walk(model))[0].items():
        quantized.get_layer(name).kernel.assign(folded.kernel)
    return quantized


def _shares(model: keras.Model, sparsity: float) -> dict[str, float]:
    """Return the same share for every layer but the last."""
    return {layer.name: sparsity for layer in [la for la in model.layers if isinstance(la, WEIGHTED)][:-1]}


def _has_zeros(model: keras.Model) -> bool:
    """Return whether at least a hundredth of some layer's weights is zero: pruned, not by chance."""
    kernels = [np.asarray(layer.kernel) for layer in model.layers if isinstance(layer, WEIGHTED)]
    return any(np.count_nonzero(kernel) < 0.99 * kernel.size for kernel in kernels)


def _check_teacher(teacher: keras.Model, student: keras.Model, path: Path) -> None:
    for what, of_teacher, of_student in (
        ("take images of shape", teacher.input_shape[1:], student.input_shape[1:]),
        ("have outputs", logits_model(teacher).output_shape[1:], logits_model(student).output_shape[1:]),
    ):
        if of_teacher != of_student:
            raise ConfigError(f"teacher {path} must {what} {of_student} as the student does, not {of_teacher}")


def _named(progress: StageProgress, stage: str) -> Callable[[Epoch], None]:
    return lambda epoch: progress(str(stage), epoch)
