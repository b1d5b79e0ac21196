"""The layers that a card may stack, each with a kind, a name and what it is built with."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Literal, get_args

from pydantic import Field, field_validator

from fpgaml.card.section import Count, Section, checked
from fpgaml.ir.network import check_identifier


class ActivationKind(StrEnum):
    """What a layer does to its sums."""

    LINEAR = "linear"
    RELU = "relu"
    LEAKY_RELU = "leaky_relu"
    PRELU = "prelu"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


class Padding(StrEnum):
    """Whether a window stays inside (`valid`, the lecture's "none") or the output keeps the input's size."""

    VALID = "valid"
    SAME = "same"


class LayerCard(Section):
    """What all layers of a card have: a name, given or made from the kind and its number (fc1, conv1, ...)."""

    stem: ClassVar[str]
    name: str = ""

    @field_validator("name")
    @classmethod
    def _identifier(cls, name: str) -> str:
        return checked(check_identifier, name, "layer") if name else name


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


class UpSampling1DLayer(LayerCard):
    """Each value so many times along the axis."""

    stem = "up"
    kind: Literal["upsampling1d"] = "upsampling1d"
    size: Count = 2


class UpSampling2DLayer(LayerCard):
    """Each value so many times along each axis: the nearest neighbour."""

    stem = "up"
    kind: Literal["upsampling2d"] = "upsampling2d"
    size: Count | tuple[Count, Count] = 2


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
    | AveragePool1DLayer | AveragePool2DLayer | UpSampling1DLayer | UpSampling2DLayer | DropoutLayer | BatchNormLayer
    | ActivationLayer
)  # fmt: skip

LAYERS: dict[str, type[LayerCard]] = {kind.model_fields["kind"].default: kind for kind in get_args(AnyLayer)}

LECTURE: tuple[AnyLayer, ...] = (
    FlattenLayer(),
    DenseLayer(units=256, activation=ActivationKind.RELU),
    DenseLayer(units=64, activation=ActivationKind.RELU),
    DenseLayer(units=32, activation=ActivationKind.RELU),
    DenseLayer(units=10, activation=ActivationKind.SOFTMAX),
)


def outputs(layers: Sequence[AnyLayer]) -> int | None:
    """Return how many outputs a stack of layers has; None if that depends on the images."""
    wide = [layer for layer in layers if not isinstance(layer, ActivationLayer | DropoutLayer | BatchNormLayer)]
    return wide[-1].units if wide and isinstance(wide[-1], DenseLayer) else None
