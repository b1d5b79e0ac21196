"""The run card: one TOML file that says everything a run depends on, strictly validated.

    name = "mnist_mlp"                          [data]          what to learn from
    [model]                                     [training]      how the float network is trained
    layers = [                                  [quantization]  bits of every layer, and retraining with them
      { kind = "flatten" },                     [design]        backend, part, clock, parallelism
      { kind = "dense", units = 10,             [output]        where the run lives
        activation = "softmax" },
    ]

Every key has a default, so an empty card is the lecture's MNIST network. Sections are frozen pydantic models;
`load_card` reads a file, `card_of` a nested dictionary, `changed` returns a card with some keys replaced, and
`to_toml` writes a card that loads equal. Whatever is wrong is a `ConfigError` with one line a fault, each naming
the file, the key, what must hold and what was found.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from fpgaml.errors import ConfigError, nearest
from fpgaml.ir.network import check_identifier
from fpgaml.target.boards import find_board, find_part
from fpgaml.target.design import Backend, Design, IoType, LayerDesign, Strategy
from fpgaml.target.output_head import Head


class ActivationKind(StrEnum):
    """What a layer does to its sums."""

    LINEAR = "linear"
    RELU = "relu"
    LEAKY_RELU = "leaky_relu"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


class Padding(StrEnum):
    """Whether a window stays inside (`valid`, the lecture's "none") or the output keeps the input's size."""

    VALID = "valid"
    SAME = "same"


class OptimizerKind(StrEnum):
    """How weights follow the gradient."""

    ADAM = "adam"
    SGD = "sgd"


class Schedule(StrEnum):
    """How the learning rate changes over the epochs."""

    CONSTANT = "constant"
    COSINE = "cosine"
    PLATEAU = "plateau"


class Task(StrEnum):
    """What is learned: one of many classes (softmax), or yes and no (one sigmoid output)."""

    CATEGORICAL = "categorical"
    BINARY = "binary"


class Section(BaseModel):
    """A table of the card: strict types, no unknown keys, frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


Count = Annotated[int, Field(ge=1)]
Window = Annotated[tuple[Count, ...], Field(min_length=1, max_length=2)]
Rate = Annotated[float, Field(gt=0, le=10)]
Share = Annotated[float, Field(ge=0, lt=1)]


# --- [data] ---------------------------------------------------------------------------------------------------------


class Normalize(StrEnum):
    """How columns of a table are brought to the input grid."""

    NONE = "none"
    FEATURE = "feature"
    SAMPLE = "sample"


class Data(Section):
    """Images or features and their labels."""

    source: str = Field(
        default="mnist",
        min_length=1,
        description="'mnist', 'fashion_mnist' (downloaded), an .npz or .csv file, or a folder of IDX files",
    )
    classes: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="keep these labels only; empty: all"
    )
    label: str = Field(default="label", description="label column of a CSV file")
    normalize: Normalize = Field(default=Normalize.FEATURE, description="for tables; images enter as uint8 / 256")
    bits: int = Field(default=8, ge=1, le=16, description="bits of an input feature of a table")
    test_fraction: float = Field(default=0.2, gt=0, lt=1, description="of a table, held out for testing")
    seed: int = Field(default=0, ge=0, description="of the shuffle before a table is split")

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[int, ...]) -> tuple[int, ...]:
        if classes and (len(set(classes)) != len(classes) or len(classes) < 2):
            raise ValueError("must name two or more different labels")
        return classes


# --- [model] --------------------------------------------------------------------------------------------------------


class LayerCard(Section):
    """What all layers of a card have: a name, given or made from the kind and its number (fc1, conv1, ...)."""

    stem: ClassVar[str]
    name: str = ""

    @field_validator("name")
    @classmethod
    def _identifier(cls, name: str) -> str:
        return _checked(check_identifier, name, "layer") if name else name


class FlattenLayer(LayerCard):
    """All axes into one."""

    stem = "flatten"
    kind: Literal["flatten"] = "flatten"


class ReshapeLayer(LayerCard):
    """The same values in another shape."""

    stem = "reshape"
    kind: Literal["reshape"] = "reshape"
    shape: tuple[Count, ...] = Field(min_length=1, max_length=3)


class Active(LayerCard):
    """A layer that may end in an activation."""

    activation: ActivationKind = ActivationKind.LINEAR
    negative_slope: float = Field(
        default=0.125, gt=0, lt=1, description="of leaky_relu; a power of two, exact in hardware"
    )

    @field_validator("negative_slope")
    @classmethod
    def _power_of_two(cls, slope: float) -> float:
        if slope.hex().lstrip("0x").split("p")[0] != "1.0000000000000":
            raise ValueError("must be a power of two such as 0.25 or 0.125")
        return slope


class DenseLayer(Active):
    """Matrix product over the last axis."""

    stem = "fc"
    kind: Literal["dense"] = "dense"
    units: Count
    bias: bool = True


class Conv1DLayer(Active):
    """Convolution along one axis."""

    stem = "conv"
    kind: Literal["conv1d"] = "conv1d"
    filters: Count
    kernel: Count = 3
    strides: Count = 1
    padding: Padding = Padding.VALID
    bias: bool = True


class Conv2DLayer(Active):
    """Convolution along two axes."""

    stem = "conv"
    kind: Literal["conv2d"] = "conv2d"
    filters: Count
    kernel: Count | tuple[Count, Count] = 3
    strides: Count | tuple[Count, Count] = 1
    padding: Padding = Padding.VALID
    bias: bool = True


class PoolLayer(LayerCard):
    """Windows, each reduced to one value."""

    stem = "pool"
    pool: Count | tuple[Count, Count] = 2
    strides: Count | tuple[Count, Count] | None = Field(default=None, description="as pool if not given")
    padding: Padding = Padding.VALID


class MaxPool1DLayer(PoolLayer):
    """The largest value of each window."""

    kind: Literal["maxpool1d"] = "maxpool1d"
    pool: Count = 2
    strides: Count | None = None


class MaxPool2DLayer(PoolLayer):
    """The largest value of each window."""

    kind: Literal["maxpool2d"] = "maxpool2d"


class AveragePool1DLayer(PoolLayer):
    """The mean of each window."""

    kind: Literal["averagepool1d"] = "averagepool1d"
    pool: Count = 2
    strides: Count | None = None


class AveragePool2DLayer(PoolLayer):
    """The mean of each window."""

    kind: Literal["averagepool2d"] = "averagepool2d"


class DropoutLayer(LayerCard):
    """Drop a share of the values while training."""

    stem = "dropout"
    kind: Literal["dropout"] = "dropout"
    rate: float = Field(default=0.5, gt=0, lt=1)


class BatchNormLayer(LayerCard):
    """Centre and scale each channel; folded into the layer before it when quantized."""

    stem = "norm"
    kind: Literal["batchnorm"] = "batchnorm"


class ActivationLayer(Active):
    """An activation of its own."""

    stem = "act"
    kind: Literal["activation"] = "activation"


AnyLayer = (
    FlattenLayer | ReshapeLayer | DenseLayer | Conv1DLayer | Conv2DLayer | MaxPool1DLayer | MaxPool2DLayer
    | AveragePool1DLayer | AveragePool2DLayer | DropoutLayer | BatchNormLayer | ActivationLayer
)  # fmt: skip

LAYERS: dict[str, type[LayerCard]] = {kind.model_fields["kind"].default: kind for kind in get_args(AnyLayer)}

LECTURE: tuple[AnyLayer, ...] = (
    FlattenLayer(),
    DenseLayer(units=256, activation=ActivationKind.RELU),
    DenseLayer(units=64, activation=ActivationKind.RELU),
    DenseLayer(units=32, activation=ActivationKind.RELU),
    DenseLayer(units=10, activation=ActivationKind.SOFTMAX),
)


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
    last, units = layers[-1], _outputs(layers)
    activation = last.activation if isinstance(last, Active) else None
    if activation is ActivationKind.SOFTMAX and units == 1:
        raise ValueError("must have two or more units under softmax; use sigmoid for one output")
    if activation is ActivationKind.SIGMOID and units is not None and units > 1:
        raise ValueError(f"must have one unit under the last sigmoid, not {units}; use softmax for several classes")


def _outputs(layers: Sequence[AnyLayer]) -> int | None:
    """Return how many outputs a stack of layers has; None if that depends on the images."""
    wide = [layer for layer in layers if not isinstance(layer, ActivationLayer | DropoutLayer | BatchNormLayer)]
    return wide[-1].units if wide and isinstance(wide[-1], DenseLayer) else None


# --- [training] and [quantization] ----------------------------------------------------------------------------------


class Training(Section):
    """How weights are found."""

    optimizer: OptimizerKind = OptimizerKind.ADAM
    learning_rate: Rate = 0.001
    momentum: Share = Field(default=0.9, description="of sgd")
    schedule: Schedule = Schedule.COSINE
    epochs: int = Field(default=32, ge=1, le=100_000)
    batch: int = Field(default=50, ge=1, le=100_000)
    validation_split: float = Field(default=0.2, ge=0, le=0.9, description="share of the training set held out")
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
        return _checked(find_board, board)

    @field_validator("part")
    @classmethod
    def _known_part(cls, part: str) -> str:
        return _checked(find_part, part) if part else part

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


# --- the card -------------------------------------------------------------------------------------------------------

# The sections that decide what a trained network is; the rest decides what is made of it, and where.
TRAINED = ("data", "model", "training", "compress", "compression", "quantization")


class RunCard(Section):
    """One run. `folder` is where the card lies; relative paths in it start there."""

    name: str = "mnist_mlp"
    data: Data = Data()
    model: Model = Model()
    training: Training = Training()
    compress: tuple[Stage, ...] = Field(default=(Stage.QAT,), description="stages, in this order; the last quantizes")
    compression: Compression = Compression()
    quantization: Quantization = Quantization()
    design: DesignCard = DesignCard()
    output: Output = Output()
    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def folder(self) -> Path:
        """Where the card lies; the working directory for a card made in Python."""
        return self._folder

    @field_validator("name")
    @classmethod
    def _identifier(cls, name: str) -> str:
        return _checked(check_identifier, name, "run")

    @field_validator("compress")
    @classmethod
    def _quantized_last(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if not stages or stages[-1] not in QUANTIZING or any(stage in QUANTIZING for stage in stages[:-1]):
            raise ValueError("must end in 'qat' or 'qap', and have it once")
        twice = [stage for stage in stages if stages.count(stage) > 1]
        if twice:
            raise ValueError(f"must name each stage once; {str(twice[0])!r} is there twice")
        return stages

    @model_validator(mode="after")
    def _layers_exist(self) -> RunCard:
        """Refuse settings for a layer that the model has not (those of a Python function or a file are known later)."""
        if self.model.function or self.model.file:
            return self
        names = [layer.name for layer in self.model.layers]
        weighted = [la.name for la in self.model.layers if isinstance(la, DenseLayer | Conv1DLayer | Conv2DLayer)]
        if Stage.SVD in self.compress:
            names += [f"{name}_low" for name in names]  # the first of two factors
            weighted += [f"{name}_low" for name in weighted]
        sections: tuple[tuple[str, Mapping[str, Any], str, list[str]], ...] = (
            ("quantization", self.quantization.layers, "layer", names),
            ("compression", self.compression.layers, "layer with weights", weighted),
            ("design", self.design.layers, "layer", names),
        )
        for section, given, what, known in sections:
            for name in given:
                if name not in known:
                    raise ValueError(f"{section}.layers.{name}: the model has no {what} {name!r}{nearest(name, known)}")
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunCard) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    def task(self) -> Task:
        """Return what is learned. Raises: ConfigError if the loss does not fit the last layer."""
        last = self.model.layers[-1]
        sigmoid = isinstance(last, Active) and last.activation is ActivationKind.SIGMOID
        one = _outputs(self.model.layers) == 1
        found = Task.BINARY if sigmoid or one else Task.CATEGORICAL
        if self.training.loss != "auto" and Task(self.training.loss) is not found and not self.model.function:
            raise ConfigError(
                f"training.loss must be {str(found)!r} for the last layer {last.name!r}, not {self.training.loss!r}"
            )
        return found

    def compressing(self) -> Training:
        """Return the training section of the stages before quantization, and of `qap`."""
        own = self.compression
        return self.training.model_copy(
            update={"epochs": own.epochs, "learning_rate": own.learning_rate, "schedule": own.schedule}
        )

    def retraining(self) -> Training:
        """Return the training section of quantization-aware training."""
        own = self.quantization
        return self.training.model_copy(
            update={"epochs": own.epochs, "learning_rate": own.learning_rate, "schedule": own.schedule,
                    "batch": own.batch}
        )  # fmt: skip


def load_card(path: str | Path) -> RunCard:
    """Read a run card.

    Raises: ConfigError if the file cannot be read, is no TOML, or says what cannot work.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be a readable run card: {_reason(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} must be TOML: {error}") from error
    return card_of(table, str(path), path.parent)


def card_of(table: Mapping[str, Any], where: str = "run card", folder: Path | None = None) -> RunCard:
    """Return the card that a nested dictionary (parsed TOML) says; `where` names it in messages.

    Raises: ConfigError with one line a fault.
    """
    try:
        card = RunCard.model_validate_json(json.dumps(table, default=str))  # JSON: enums by name, lists as tuples
        card.task()
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {line}" for line in _sentences(error, table))) from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if folder is not None:
        card._folder = folder
    return card


def changed(card: RunCard, changes: Mapping[str, Any]) -> RunCard:
    """Return `card` with keys replaced, e.g. ``{"training": {"epochs": 3}}``; tables are merged, the rest replaced.

    Raises: ConfigError as `card_of`.
    """
    return card_of(_merged(card.model_dump(mode="json"), changes), f"run card {card.name!r}", card.folder)


def module_file(name: str, folder: Path) -> Path:
    """Return where the module of a `model.function` is if it lies beside the card, in `folder`."""
    return folder / (name.replace(".", "/") + ".py")


FAST_EPOCHS, FAST_BATCH = 3, 200


def hurried(card: RunCard) -> RunCard:
    """Return the card for a first result in seconds: few epochs of large batches, under the name `<name>_fast`."""
    epochs = {"epochs": min(card.training.epochs, FAST_EPOCHS), "batch": max(card.training.batch, FAST_BATCH)}
    again = {"epochs": min(card.quantization.epochs, FAST_EPOCHS), "batch": max(card.quantization.batch, FAST_BATCH)}
    note = (
        f"FAST RUN: {epochs['epochs']} of {card.training.epochs} float epochs and {again['epochs']} of "
        f"{card.quantization.epochs} quantized ones, in larger batches. The accuracies are not those of the card."
    )
    return changed(
        card, {"name": f"{card.name}_fast", "training": epochs, "quantization": again, "output": {"note": note}}
    )


def trained_as(card: RunCard, record: object) -> bool:
    """Return whether `record`, kept beside a training, is what `card` says in its sections TRAINED.

    A key that came later than the record counts as its default.
    """
    if not isinstance(record, Mapping):
        return False
    try:
        other = card_of(dict(record))
    except ConfigError:
        return False
    return all(getattr(other, name) == getattr(card, name) for name in TRAINED)


def to_toml(card: RunCard) -> str:
    """Return the card as TOML, without what is as by default; ``card_of(tomllib.loads(to_toml(c))) == c``."""
    dump = card.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    dump = {"name": card.name, **dump}
    if card.model.file:
        dump["model"].pop("layers", None)
    if "layers" in dump.get("model", {}):
        dump["model"]["layers"] = [{"kind": layer.kind, **_short(layer)} for layer in card.model.layers]
    return "\n".join(_toml_lines(dump, ())) + "\n"


def _short(layer: AnyLayer) -> dict[str, Any]:
    return layer.model_dump(mode="json", exclude_defaults=True, exclude_none=True)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _toml_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and (plain or not table):
        yield f"\n[{'.'.join(path)}]"
    for key, value in plain.items():
        yield f"{key} = {_toml(value, top=True)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml_lines(value, (*path, key))


def _toml(value: Any, top: bool = False) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
        case list() if top and value and isinstance(value[0], dict):
            return "[\n" + "".join(f"  {_toml(item)},\n" for item in value) + "]"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return json.dumps(value)  # strings, numbers and booleans are written alike in JSON and TOML


def _checked(check: Callable[..., Any], value: str, *more: str) -> str:
    """Run one of our checks inside pydantic, which expects ValueError."""
    try:
        check(value, *more)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return value


def _sentences(error: ValidationError, table: Mapping[str, Any]) -> list[str]:
    """Say each fault once; what the branches of a union would each have taken is joined by "or"."""
    said: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        line = _sentence(fault, table)
        key = f"{fault['loc']}" if fault["type"] in ("extra_forbidden", "missing") else _place(fault, table)[0]
        first, rule = said.get(key), line.removeprefix(f"{key} must be ")
        if first and " must be " in first and rule != line:
            line = first.rpartition(", not ")[0] + f" or {rule}"
        said[key] = line
    return list(dict.fromkeys(said.values()))


def _sentence(fault: ErrorDetails, table: Mapping[str, Any]) -> str:
    """Say one fault of pydantic's in our words: key, what must hold, what was found."""
    place, known = _place(fault, table)
    context = fault.get("ctx", {})
    found = _shown(fault["input"])
    match fault["type"]:
        case "extra_forbidden":
            owner, _, key = place.rpartition(".")
            return f"{f'[{owner}]' if owner else 'the card'} has no key {key!r}{nearest(key, known)}"
        case "missing":
            return f"{place} must be given"
        case "value_error":
            reason = str(context.get("error", fault["msg"]))
            return f"{place} {reason}, not {found}" if reason.startswith("must be ") else _with(place, reason)
        case "enum" | "literal_error":
            choices = re.findall(r"'([^']*)'", str(context["expected"]))
            close = nearest(str(fault["input"]), choices)
            return f"{place} must be {' or '.join(map(repr, choices))}, not {found}{close}"
        case "union_tag_invalid":
            tag = str(context["tag"])
            return f"{place}.kind must be a known kind of layer, not {tag!r}{nearest(tag, LAYERS)}"
        case "union_tag_not_found":
            return f"{place}.kind must be given: one of {', '.join(LAYERS)}"
        case "greater_than_equal":
            return f"{place} must be at least {context['ge']:g}, not {found}"
        case "greater_than":
            return f"{place} must be above {context['gt']:g}, not {found}"
        case "less_than_equal":
            return f"{place} must be at most {context['le']:g}, not {found}"
        case "less_than":
            return f"{place} must be below {context['lt']:g}, not {found}"
        case "too_short" | "string_too_short":
            return f"{place} must not be empty"
        case "too_long":
            return f"{place} must have at most {context['max_length']} entries, not {context['actual_length']}"
        case "finite_number":
            return f"{place} must be a finite number, not {found}"
        case kind:
            return f"{place} must be {WANTED.get(kind, fault['msg'].lower())}, not {found}"


WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text in quotes",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _with(place: str, reason: str) -> str:
    return f"{place} {reason}" if reason.startswith("must ") else (f"{place}: {reason}" if place else reason)


def _place(fault: ErrorDetails, table: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the key as one writes it, and the keys that the table it stands in may have.

    pydantic's location also names the branch of a union that it tried; what the card does not have is left out.
    """
    parts: list[str] = []
    here: Any = table
    kinds: list[Any] = []
    for part in fault["loc"]:
        if isinstance(part, int):
            here = here[part]
            parts[-1] += f"[{part + 1}]"
        elif isinstance(here, Mapping) and (part in here or (fault["type"] == "missing" and part == fault["loc"][-1])):
            kinds.append(here.get("kind"))
            here = here.get(part)
            parts.append(part)
    return ".".join(parts), list(_section(parts[:-1], kinds[-1] if kinds else None).model_fields)


def _section(path: list[str], kind: Any) -> type[Section]:
    """Return the section of the card at `path`."""
    match path:
        case ["model", layer] if layer.startswith("layers["):
            return LAYERS.get(kind, LayerCard)
        case ["quantization", "layers", _]:
            return LayerQuantization
        case ["compression", "layers", _]:
            return LayerCompression
        case ["design", "layers", _]:
            return LayerDesignCard
        case [name]:
            found = RunCard.model_fields[name].annotation
            return found if isinstance(found, type) else RunCard
        case _:
            return RunCard


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
