"""The run card: one TOML file that says everything a run depends on, strictly validated.

    name = "mnist_mlp"                          [data]          what to learn from
    [model]                                     [training]      how the float network is trained
    layers = [                                  [quantization]  bits of every layer, and retraining with them
      { kind = "flatten" },                     [design]        backend, part, clock, parallelism
      { kind = "dense", units = 10,             [output]        where the run lives
        activation = "softmax" },
    ]

Every key has a default, so an empty card is the lecture's MNIST network. The tables are frozen pydantic models (in
`sections`; `layers` holds those of the model). `toml` reads a card from a file or a nested dictionary and writes one,
`changes` returns a card with some keys replaced. Whatever is wrong is a `ConfigError` with one line a fault, each
naming the file, the key, what must hold and what was found (`messages`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, PrivateAttr, field_validator, model_validator

from fpgaml.card.layers import ActivationKind, Active, Conv1DLayer, Conv2DLayer, DenseLayer, outputs
from fpgaml.card.section import Section, Tree, as_by_default, checked
from fpgaml.card.sections import (
    QUANTIZING,
    Compression,
    Data,
    DesignCard,
    Model,
    Output,
    Quantization,
    Stage,
    Training,
)
from fpgaml.errors import ConfigError, nearest
from fpgaml.ir.network import check_identifier
from fpgaml.ir.shown import Shown, Summary


class Task(StrEnum):
    """What is learned: one of many classes (softmax), or yes and no (one sigmoid output)."""

    CATEGORICAL = "categorical"
    BINARY = "binary"


# The sections that decide what a trained network is; the rest decides what is made of it, and where.
TRAINED = ("data", "model", "training", "compress", "compression", "quantization")


class RunCard(Shown, Section):
    """One run. `folder` is where the card lies; relative paths in it start there."""

    name: str = "mnist_mlp"
    data: Data = as_by_default(Data)
    model: Model = Field(default_factory=Model)
    training: Training = as_by_default(Training)
    compress: tuple[Stage, ...] = Field(default=(Stage.QAT,), description="stages, in this order; the last quantizes")
    compression: Compression = as_by_default(Compression)
    quantization: Quantization = as_by_default(Quantization)
    design: DesignCard = as_by_default(DesignCard)
    output: Output = as_by_default(Output)
    _folder: Path = PrivateAttr(default_factory=Path)
    _sought: tuple[Path, ...] = PrivateAttr(default=())

    @property
    def summary(self) -> Summary:
        """Each key that is not as by default."""
        dump = self.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        rows = [
            (f"{section}.{key}" if key else section, str(value))
            for section, inner in dump.items()
            for key, value in (inner.items() if isinstance(inner, dict) else [("", inner)])
        ]
        return Summary(f"{self.name}: {len(rows)} keys that are not as by default", ("key", "value"), rows)

    @property
    def folder(self) -> Path:
        """Where the card lies; the working directory for a card made in Python."""
        return self._folder

    @property
    def sought(self) -> tuple[Path, ...]:
        """Where the data of a run's card were looked for, if they are in none of these folders."""
        return self._sought

    @field_validator("name")
    @classmethod
    def _identifier(cls, name: str) -> str:
        return checked(check_identifier, name, "run")

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
        sections: tuple[tuple[str, Tree, str, list[str]], ...] = (
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
        one = outputs(self.model.layers) == 1
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
