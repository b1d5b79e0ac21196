"""The tables of a card: what is learned from, the model, training, quantization, compression, design, output."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fpgaml.card.layers import (
    LECTURE,
    ActivationKind,
    Active,
    AnyLayer,
    Conv1DLayer,
    Conv2DLayer,
    DenseLayer,
    outputs,
)
from fpgaml.card.section import Count, Rate, Section, Share, checked
from fpgaml.errors import ConfigError
from fpgaml.ir.fixed import FixedPoint
from fpgaml.target.boards import find_board, find_part
from fpgaml.target.design import Design, IoType, LayerDesign, Strategy
from fpgaml.target.output_head import Head
from fpgaml.target.toolchain import Backend

# --- [data] ---------------------------------------------------------------------------------------------------------


class Normalize(StrEnum):
    """How columns of a table are brought to the input grid."""

    NONE = "none"
    FEATURE = "feature"
    STANDARD = "standard"
    SAMPLE = "sample"


class Data(Section):
    """Images or features and their labels."""

    source: str = Field(
        default="mnist",
        min_length=1,
        description="'mnist', 'fashion_mnist' or 'cifar10' (downloaded), an .npz, .npy, .csv, IDX or .mat file, or a "
        "folder of IDX, CIFAR-10 or SVHN files",
    )
    test: str = Field(default="", description="a file to test with; else the source's own test samples, or a share")
    validation: str = Field(
        default="", description="a file to choose the best epoch with; else training.validation_split"
    )
    classes: tuple[int | str, ...] = Field(
        default=(), description="the labels to keep, in the order that classes get; empty: all, numbered 0, 1, ..."
    )
    features: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="the columns of a table to learn from, in this order; empty: all but the label"
    )
    label: str = Field(
        default="label", description="where the classes are: a column, an array of an .npz, or an .npy file"
    )
    normalize: Normalize = Field(default=Normalize.FEATURE, description="for tables; images enter as uint8 / 256")
    bits: int = Field(default=8, ge=1, le=16, description="bits of an input feature of a table")
    input_type: str = Field(
        default="", description="the grid that values are rounded to, or what integers are codes of, e.g. 'fixed<12,4>'"
    )
    input_scale: str = Field(default="", description="what integers are multiplied by before, e.g. '1/255'")
    shape: tuple[Count, ...] = Field(
        default=(), max_length=3, description="of one sample, channels last, e.g. [100, 1]; else the source's own"
    )
    test_fraction: float = Field(default=0.2, gt=0, lt=1, description="of a table, held out for testing")
    seed: int = Field(default=0, ge=0, description="of the shuffle before a table is split")

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[int | str, ...]) -> tuple[int | str, ...]:
        if classes and (len(set(classes)) != len(classes) or len(classes) < 2):
            raise ValueError("must name two or more different labels")
        return classes

    @field_validator("features")
    @classmethod
    def _once(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for name in features if features.count(name) > 1]:
            raise ValueError(f"must name each column once; {twice[0]!r} is there {features.count(twice[0])} times")
        return features

    @field_validator("input_type")
    @classmethod
    def _type(cls, text: str) -> str:
        return checked(FixedPoint.parse, text) if text else text

    @property
    def files(self) -> tuple[str, ...]:
        """The names that may be files: of the source, the tests and the validation samples, as far as given."""
        return tuple(name for name in (self.source, self.test, self.validation) if name)


# --- [model] --------------------------------------------------------------------------------------------------------


class Model(Section):
    """The network: a stack of layers, or a Python function that returns a Keras model."""

    layers: tuple[Annotated[AnyLayer, Field(discriminator="kind")], ...] = Field(default=LECTURE, validate_default=True)
    function: str = Field(default="", description="'module:function' instead of layers; it gets the input shape")
    file: str = Field(default="", description="the model made elsewhere that `fpgaml convert` read; nothing is trained")

    @field_validator("layers")
    @classmethod
    def _named(cls, layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
        """Give each layer without a name its kind's stem and number, and refuse what no stack can be."""
        given = [layer.name for layer in layers if layer.name]
        twice = [name for name in given if given.count(name) > 1]
        if twice:
            raise ValueError(f"must have different names; {twice[0]!r} is given twice")
        named: list[AnyLayer] = []
        for layer in layers:
            number = sum(before.stem == layer.stem for before in named) + 1
            name = layer.name or f"{layer.stem}{number}"
            if not layer.name and name in given:
                raise ValueError(f"must have different names; {name!r} is also the automatic name of a {layer.kind}")
            named.append(layer.model_copy(update={"name": name}))
        if not any(isinstance(layer, DenseLayer | Conv1DLayer | Conv2DLayer) for layer in named):
            raise ValueError("must have at least one dense or convolution layer")
        _check_outputs(named)
        return tuple(named)

    @field_validator("function")
    @classmethod
    def _module_and_function(cls, function: str) -> str:
        if function and not re.fullmatch(r"[\w.]+:\w+", function):
            raise ValueError("must be 'module:function'")
        return function

    def must_be_made_here(self) -> None:
        """Raise ConfigError if the model was made elsewhere, so that there is nothing to train."""
        if self.file:
            raise ConfigError(
                f"model.file: {self.file} was made elsewhere and is not trained here; to convert it again: "
                "fpgaml convert MODEL"
            )


def _check_outputs(layers: list[AnyLayer]) -> None:
    """Refuse a softmax or sigmoid that could not work: they judge many classes, and one output, in this order."""
    for layer in layers[:-1]:
        if isinstance(layer, Active) and layer.activation is ActivationKind.SOFTMAX:
            raise ValueError(f"must have softmax on the last layer only, not on {layer.name!r}")
    last, units = layers[-1], outputs(layers)
    activation = last.activation if isinstance(last, Active) else None
    if activation is ActivationKind.SOFTMAX and units == 1:
        raise ValueError("must have two or more units under softmax; use sigmoid for one output")
    if activation is ActivationKind.SIGMOID and units is not None and units > 1:
        raise ValueError(f"must have one unit under the last sigmoid, not {units}; use softmax for several classes")


def module_file(name: str, folder: Path) -> Path:
    """Return where the module of a `model.function` is if it lies beside the card, in `folder`."""
    return folder / (name.replace(".", "/") + ".py")


# --- [training] and [quantization] ----------------------------------------------------------------------------------


class OptimizerKind(StrEnum):
    """How weights follow the gradient."""

    ADAM = "adam"
    SGD = "sgd"


class Schedule(StrEnum):
    """How the learning rate changes over the epochs."""

    CONSTANT = "constant"
    COSINE = "cosine"
    PLATEAU = "plateau"


class Training(Section):
    """How weights are found."""

    optimizer: OptimizerKind = OptimizerKind.ADAM
    learning_rate: Rate = 0.001
    momentum: Share = Field(default=0.9, description="of sgd")
    schedule: Schedule = Schedule.COSINE
    epochs: int = Field(default=32, ge=1, le=100_000)
    batch: int = Field(default=50, ge=1, le=100_000)
    validation_split: float = Field(default=0.2, ge=0, le=0.9, description="share of the training set held out")
    class_weights: Literal["equal", "balanced"] | tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default="equal",
        description="how much a sample of each class counts, unless it is distilled: 'balanced', or a number a class",
    )
    loss: Literal["auto", "categorical", "binary"] = Field(default="auto", description="from the last layer if auto")
    patience: int = Field(default=0, ge=0, description="stop after so many epochs without a better one; 0: never")
    restore_best: bool = Field(default=True, description="keep the weights of the best epoch by validation accuracy")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


Integer = Annotated[int, Field(ge=-8, le=16)] | Literal["auto"]


class LayerQuantization(Section):
    """What one layer does differently from the rest; what is not given is as in [quantization]."""

    weight_bits: int | None = Field(default=None, ge=1, le=16)
    weight_integer: Integer | None = None
    bias_bits: int | None = Field(default=None, ge=1, le=24)
    bias_integer: Integer | None = None
    activation_bits: int | None = Field(default=None, ge=1, le=16)
    activation_integer: Integer | None = None
    kernel: str | None = Field(default=None, description="a QKeras quantizer by name instead of bits")
    bias: str | None = None
    activation: str | None = None


class Quantization(Section):
    """Fixed-point types of weights, biases and activations, and the training that adapts to them.

    Integer bits are QKeras' (without the sign). "auto" takes the fewest that hold the float network's weights, or
    its activations on training images.
    """

    weight_bits: int = Field(default=6, ge=1, le=16)
    weight_integer: Integer = "auto"
    bias_bits: int = Field(default=8, ge=1, le=24)
    bias_integer: Integer = "auto"
    activation_bits: int = Field(default=6, ge=1, le=16)
    activation_integer: Integer = "auto"
    kernel: str = Field(default="", description="a QKeras quantizer by name, e.g. 'quantized_bits(4, 0, alpha=1)'")
    bias: str = ""
    activation: str = Field(default="", description="a QKeras activation by name, e.g. 'quantized_relu(6, 2)'")
    scale_bits: int | None = Field(
        default=None, ge=2, le=24, description="round what is on no grid (alpha='auto', batch normalization) to so many"
    )
    epochs: int = Field(default=16, ge=0, le=100_000, description="of quantization-aware training; 0: only round")
    learning_rate: Rate = 0.0002
    schedule: Schedule = Schedule.COSINE
    batch: int = Field(default=50, ge=1, le=100_000)
    layers: dict[str, LayerQuantization] = Field(default_factory=dict)

    def of(self, layer: str) -> LayerQuantization:
        """Return the settings of one layer, every field filled in."""
        own = self.layers.get(layer, LayerQuantization())
        general = {key: getattr(self, key) for key in LayerQuantization.model_fields}
        given = {key: value for key, value in own if value is not None}
        # bits given for one layer win over a quantizer named for all
        for name, bits in (("kernel", "weight_bits"), ("bias", "bias_bits"), ("activation", "activation_bits")):
            if bits in given and name not in given:
                general[name] = ""
        return LayerQuantization(**(general | given))


# --- compress and [compression] ---------------------------------------------------------------------------------------


class Stage(StrEnum):
    """One step from the float network to the one that hardware gets."""

    DISTILL = "distill"
    SVD = "svd"
    PRUNE = "prune"
    QAT = "qat"
    QAP = "qap"


QUANTIZING = (Stage.QAT, Stage.QAP)


class Scope(StrEnum):
    """Whether each layer loses the same share of its weights, or the smallest of all layers go."""

    LAYER = "layer"
    GLOBAL = "global"


class Structure(StrEnum):
    """What is pruned: single weights, or whole neurons and channels (the network gets smaller)."""

    WEIGHTS = "weights"
    NEURONS = "neurons"


class LayerCompression(Section):
    """What one layer does differently."""

    sparsity: Share | None = None
    rank: int | None = Field(default=None, ge=1)


class Compression(Section):
    """Settings of the stages that `compress` names. `qat` is set in [quantization] alone."""

    sparsity: Share = Field(default=0.8, description="share of the weights (or neurons) pruned")
    scope: Scope = Scope.GLOBAL
    structure: Structure = Structure.WEIGHTS
    ramp: float = Field(default=0.5, ge=0, lt=1, description="share of the epochs in which sparsity grows")
    energy: float = Field(default=0.95, gt=0, le=1, description="svd: share of a matrix' squared size that is kept")
    teacher: str = Field(default="", description="distill: a .keras model or a card; the float model itself if empty")
    temperature: float = Field(default=4.0, ge=1, le=100, description="distill: softens the teacher's answer")
    alpha: float = Field(default=0.1, ge=0, le=1, description="distill: weight of the labels beside the teacher")
    epochs: int = Field(default=16, ge=1, le=100_000)
    learning_rate: Rate = 0.001
    schedule: Schedule = Schedule.COSINE
    layers: dict[str, LayerCompression] = Field(default_factory=dict)


# --- [design] and [output] ------------------------------------------------------------------------------------------


class LayerDesignCard(Section):
    """What one layer does differently from the rest of the design."""

    reuse_factor: int | None = Field(default=None, ge=1)
    strategy: Strategy | None = None


class DesignCard(Section):
    """How the network becomes hardware; decides cost and speed, and not one bit of the logits."""

    backend: Backend = Backend.VITIS
    board: str = Field(default="pynq-z2", description="`fpgaml boards` lists them")
    part: str = Field(default="", description="a part number, instead of the board's")
    clock_ns: float | None = Field(default=None, gt=0, le=1000, description="the board's usual clock if not given")
    io_type: IoType = IoType.PARALLEL
    strategy: Strategy = Strategy.LATENCY
    reuse_factor: int = Field(default=1, ge=1)
    output: Head = Field(default=Head.LOGITS, description="what comes out: logits, one bit for the class, or softmax")
    layers: dict[str, LayerDesignCard] = Field(default_factory=dict)

    @field_validator("board")
    @classmethod
    def _known_board(cls, board: str) -> str:
        return checked(find_board, board)

    @field_validator("part")
    @classmethod
    def _known_part(cls, part: str) -> str:
        return checked(find_part, part) if part else part

    def resolve(self) -> Design:
        """Return the Design: part and clock filled in from the board."""
        board = find_board(self.board)
        return Design(
            backend=self.backend,
            part=self.part or board.part_number,
            clock_ns=board.clock_ns if self.clock_ns is None else self.clock_ns,
            io_type=self.io_type,
            strategy=self.strategy,
            reuse_factor=self.reuse_factor,
            per_layer=tuple(LayerDesign(name, own.reuse_factor, own.strategy) for name, own in self.layers.items()),
        )


class Output(Section):
    """Where the run lives and what it keeps."""

    folder: str = Field(default="hls_projects", min_length=1, description="runs go to <folder>/<name>")
    note: str = Field(default="", description="stands at the top of the report")
    golden_images: int = Field(
        default=100, ge=1, le=10_000, description="test images whose every layer is kept and compared"
    )
