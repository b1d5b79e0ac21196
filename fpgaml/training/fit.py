"""Train a Keras model on a Dataset, float or quantized alike.

    history = train(model, dataset, card.training, progress=print)

The images stay in memory as the codes they are (uint8); each batch is gathered and scaled inside TensorFlow, and many
batches run in one call (`steps_per_execution`): no Python per batch. The loss sees the logits, not the softmax, which
is the same function and cannot overflow. One callback does what depends on the epoch: the learning rate, the best
weights, early stopping, and stopping when the loss is no number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fpgaml.card.sections import OptimizerKind, Schedule, Training
from fpgaml.datasets.dataset import Dataset
from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.comparison import classify
from fpgaml.exact.history import Epoch, History, Progress
from fpgaml.exact.scores import cross_entropy
from fpgaml.ir.fixed import Array
from fpgaml.training.fused import compiles, fused
from fpgaml.training.pruning import Pruner

Tensor = Any  # a TensorFlow tensor; TensorFlow ships no types

EVALUATION_BATCH = 1000
STEPS_PER_CALL = 60  # batches in one call into TensorFlow; more gains nothing measurable
XLA_BATCHES, XLA_WEIGHTS = 2000, 100_000  # fewer repay no compilation; measured: docs/decisions.md
PLATEAU_PATIENCE = 3  # epochs without a better one before the learning rate is halved


def train(
    model: keras.Model,
    dataset: Dataset,
    training: Training,
    *,
    progress: Progress | None = None,
    teacher: Teacher | None = None,
    pruner: Pruner | None = None,
) -> History:
    """Train `model` in place and return what happened; it keeps the best weights (or the last, as the card says).

    The last `validation_split` of the training images, after a shuffle by `seed`, is held out to choose them.
    With a `teacher` the model learns from its answers beside the labels. A `pruner` keeps weights at zero; only epochs
    after its last change may be the best. `progress` is called after each epoch.

    Raises: Diverged if the loss stops being a number; the model then has the best weights before that. ConfigError if
    the card's loss does not fit the outputs.
    """
    if training.epochs == 0:
        return History((), 0, "no epochs asked for")
    keras.utils.set_random_seed(training.seed)
    learn, held_out = split_of(dataset, training.validation_split, training.seed)
    logits = logits_model(model)
    if logits is model:
        logits = keras.Model(model.inputs[0], model.outputs[0])  # the caller's own is not compiled
    outputs, steps = int(logits.output_shape[-1]), math.ceil(len(learn) / training.batch)
    binary = outputs == 1
    if training.loss == ("categorical" if binary else "binary"):
        raise ConfigError(f"training.loss must be 'auto' for a model of {outputs} output(s), not {training.loss!r}")
    logits.compile(
        optimizer=_optimizer(training),
        loss=teacher.loss(binary) if teacher else entropy_loss(binary),
        metrics=[keras.metrics.MeanMetricWrapper(_accuracy, name="accuracy")],
        steps_per_execution=min(STEPS_PER_CALL, steps),
        jit_compile=xla_pays(logits, steps * training.epochs),
    )
    wanted = teacher.targets(dataset.y_train) if teacher else dataset.y_train[:, np.newaxis].astype(np.float32)
    logits.optimizer.build(logits.trainable_variables)  # before tracing, which else happens twice
    watch = _Watch(model, logits, training, progress, dataset, held_out, pruner, steps)
    weights = None if teacher else class_weights(dataset.y_train[learn], dataset.classes, training)
    images = _batches(dataset, wanted, learn, training, weights)
    with fused(logits), pruner.attached() if pruner else nullcontext():
        logits.fit(images, epochs=training.epochs, callbacks=[watch], verbose=0, shuffle=False)
    return watch.finish()


def xla_pays(model: keras.Model, batches: int) -> bool:
    """Return whether XLA trains `model` faster, its compilation included, and can."""
    return batches >= XLA_BATCHES and model.count_params() >= XLA_WEIGHTS and compiles(model)


def evaluate(model: keras.Model, dataset: Dataset) -> float:
    """Return the accuracy on the test images, 0 to 1."""
    return float((classify(predict(model, dataset, dataset.x_test)) == dataset.y_test).mean())


def predict(model: keras.Model, dataset: Dataset, codes: Array) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the logits (before softmax or sigmoid) for images given as `codes`, shape (images, outputs)."""
    logits = logits_model(model)
    parts = [
        np.asarray(logits(dataset.values(codes[start : start + EVALUATION_BATCH]), training=False))
        for start in range(0, len(codes), EVALUATION_BATCH)
    ]
    return np.concatenate(parts)


def logits_model(model: keras.Model) -> keras.Model:
    """Return `model` up to its logits: without a last softmax or sigmoid layer. Weights are shared.

    Raises: ConfigError if softmax or sigmoid is part of the last dense layer instead of a layer of its own and cannot
    be cut.
    """
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return keras.Model(model.inputs[0], last.input)
    name = getattr(getattr(last, "activation", None), "__name__", "")
    if name not in ("softmax", "sigmoid"):
        return model
    if isinstance(last, keras.layers.Activation):
        return keras.Model(model.inputs[0], last.input)
    raise ConfigError(
        f"layer {last.name!r}: {name} must be a layer of its own (keras.layers.Activation), not part of the layer"
    )


class Diverged(ConfigError):
    """The loss stopped being a number. `model` has the weights of epoch `kept`, or those it began with if that is 0."""

    def __init__(self, message: str, model: keras.Model, kept: int) -> None:
        super().__init__(message)
        self.model = model
        self.kept = kept


@dataclass(frozen=True, eq=False)
class Teacher:
    """A teacher's logits for all training images, (images, outputs), and how much to trust them.

    The loss is ``alpha`` x cross-entropy with the labels + ``(1 - alpha)`` x ``temperature**2`` x divergence from the
    teacher's answer, both answers softened by the temperature.
    Source: Hinton, Vinyals, Dean, arXiv:1503.02531, section 2.
    """

    logits: Array
    temperature: float
    alpha: float

    def targets(self, labels: Array) -> Array:
        """Return label and teacher's logits side by side, (images, 1 + outputs)."""
        return np.concatenate([labels[:, np.newaxis], self.logits], axis=1).astype(np.float32)

    def loss(self, binary: bool) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the loss of logits against such targets."""
        plain = entropy_loss(binary)
        heat = self.temperature

        def soft(targets: Tensor, logits: Tensor) -> Tensor:
            teacher = targets[:, 1:] / heat
            if binary:
                wanted = tf.sigmoid(teacher)
                far = tf.nn.sigmoid_cross_entropy_with_logits(labels=wanted, logits=logits / heat)
            else:
                wanted = tf.nn.softmax(teacher)
                far = tf.nn.softmax_cross_entropy_with_logits(labels=wanted, logits=logits / heat)
            hard = plain(targets[:, :1], logits)
            return self.alpha * hard + (1 - self.alpha) * heat**2 * tf.reduce_mean(far)

        return soft


def entropy_loss(binary: bool) -> keras.losses.Loss:
    """Return the loss of logits against labels."""
    if binary:
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def split_of(dataset: Dataset, share: float, seed: int) -> tuple[Array, Array]:
    """Return `split` of a data set's training images; those that it holds out itself, if it does."""
    count = len(dataset.x_train)
    if dataset.validation:
        return np.arange(count - dataset.validation), np.arange(count - dataset.validation, count)
    return split(count, share, seed)


def class_weights(labels: Array, classes: int, training: Training) -> Array | None:
    """Return how much an image of each class counts, (classes,), with a mean over all images of 1; None if all alike.

    Raises: ConfigError unless each class has one weight.
    """
    if training.class_weights == "equal":
        return None
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    given = training.class_weights
    weights = 1 / np.maximum(counts, 1) if given == "balanced" else np.asarray(given, np.float64)
    if len(weights) != classes:
        raise ConfigError(
            f"training.class_weights must have one weight for each of the {classes} classes, not {len(weights)}"
        )
    return np.asarray(weights * counts.sum() / (weights * counts).sum(), np.float32)


def split(count: int, share: float, seed: int) -> tuple[Array, Array]:
    """Return the numbers of the images to learn from and of those held out, `share` of them, shuffled by `seed`.

    Raises: DataError if nothing is left to learn from.
    """
    order = np.random.default_rng(seed).permutation(count)
    held_out = round(count * share)
    if held_out >= count or (share > 0 and held_out == 0):
        raise DataError(f"training.validation_split {share:g} of {count} images must leave some on both sides")
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _optimizer(training: Training) -> keras.optimizers.Optimizer:
    match training.optimizer:
        case OptimizerKind.ADAM:
            return keras.optimizers.Adam(training.learning_rate)
        case OptimizerKind.SGD:
            return keras.optimizers.SGD(training.learning_rate, momentum=training.momentum)


def _accuracy(targets: Tensor, logits: Tensor) -> Tensor:
    """Whether each class is right; targets (images, 1 or more) have the label first."""
    if logits.shape[-1] == 1:
        found = tf.cast(logits[:, 0] > 0, tf.float32)
    else:
        found = tf.cast(tf.argmax(logits, axis=-1), tf.float32)
    return tf.cast(found == targets[:, 0], tf.float32)


def _batches(
    dataset: Dataset, targets: Array, chosen: Array, training: Training, weights: Array | None
) -> tf.data.Dataset:
    """Return shuffled batches of (images, targets), and the `weights` of their classes if there are any.

    Another order each epoch, the same in each run.
    """
    codes = tf.constant(dataset.x_train)
    wanted = tf.constant(targets)
    step = tf.constant(dataset.input_type.step, tf.float32)

    counts = None if weights is None else tf.constant(weights[dataset.y_train])

    def gather(numbers: Any) -> Any:
        batch = tf.cast(tf.gather(codes, numbers), tf.float32) * step, tf.gather(wanted, numbers)
        return batch if counts is None else (*batch, tf.gather(counts, numbers))

    numbers = tf.data.Dataset.from_tensor_slices(chosen).shuffle(len(chosen), seed=training.seed)
    return numbers.batch(training.batch).map(gather, num_parallel_calls=1).prefetch(8)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """What depends on the epoch: learning rate, best weights, when to stop."""

    def __init__(
        self,
        model: keras.Model,
        logits: keras.Model,
        training: Training,
        progress: Progress | None,
        dataset: Dataset,
        held_out: Array,
        pruner: Pruner | None,
        steps: int,
    ) -> None:
        super().__init__()
        self.whole = model
        self.logits = logits
        self.training = training
        self.progress = progress
        self.pruner = pruner
        self.steps = steps
        self.example = dataset.values(dataset.x_train[:1])
        self.epoch = 0
        self.held = (dataset.values(dataset.x_train[held_out]), dataset.y_train[held_out]) if held_out.size else None
        self.answer = tf.function(lambda images: logits(images, training=False), reduce_retracing=True)
        self.epochs: list[Epoch] = []
        self.kept = 0
        self.score = (-math.inf, -math.inf)
        self.rate = training.learning_rate
        self.worse = 0
        self.started = 0.0
        self.weights: list[Array] = logits.get_weights()
        self.diverged = False
        self.ended = "all epochs done"

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.started, self.epoch = time.perf_counter(), epoch
        if self.training.schedule is Schedule.COSINE:
            self.rate = self.training.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.training.epochs))
        self.logits.optimizer.learning_rate = self.rate

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.pruner:
            self.pruner.advance((self.epoch + batch / self.steps) / self.training.epochs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.diverged = True
            self.logits.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.diverged or not all(np.isfinite(weights).all() for weights in self.logits.get_weights()):
            self.diverged = self.logits.stop_training = True  # the last step of all may spoil weights, but no loss
            return
        found = dict(logs or {})
        val_loss, val_accuracy = self._validate()
        done = Epoch(
            number=epoch + 1,
            of=self.training.epochs,
            learning_rate=self.rate,
            seconds=time.perf_counter() - self.started,
            loss=float(found["loss"]),
            accuracy=float(found.get("accuracy", math.nan)),
            val_loss=val_loss,
            val_accuracy=val_accuracy,
        )
        self.epochs.append(done)
        self._judge(done)
        if self.progress:
            self.progress(done)

    def _validate(self) -> tuple[float | None, float | None]:
        """Return cross-entropy and accuracy on the held-out images."""
        if self.held is None:
            return None, None
        images, labels = self.held
        logits = np.concatenate([
            np.asarray(self.answer(images[start : start + EVALUATION_BATCH]), np.float64)
            for start in range(0, len(images), EVALUATION_BATCH)
        ])  # fmt: skip
        return cross_entropy(logits, labels), float((classify(logits) == labels).mean())

    def _judge(self, done: Epoch) -> None:
        """Keep the weights if this epoch is the best so far; count the epochs since."""
        if done.val_accuracy is None or done.val_loss is None or (self.pruner and not self.pruner.settled):
            self.kept, self.weights = done.number, self.logits.get_weights()
            return
        score = (done.val_accuracy, -done.val_loss)
        if score > self.score:
            self.score, self.worse = score, 0
            self.kept, self.weights = done.number, self.logits.get_weights()
            return
        self.worse += 1
        if self.training.schedule is Schedule.PLATEAU and self.worse % PLATEAU_PATIENCE == 0:
            self.rate /= 2
        if self.training.patience and self.worse >= self.training.patience:
            self.ended = f"no better epoch in {self.worse}"
            self.logits.stop_training = True

    def finish(self) -> History:
        """Put the chosen weights into the model and return the history."""
        if self.diverged or self.training.restore_best:
            self.logits.set_weights(self.weights)
        self.logits(self.example, training=False)  # some quantizers keep their scale: a number, and these weights' own
        if self.diverged:
            kept = f"the model has the weights of epoch {self.kept}" if self.kept else "the model is as it was"
            message = (
                f"training diverged: the loss must be a number, but in epoch {len(self.epochs) + 1} it was not; lower "
                f"the learning rate (now {self.training.learning_rate:g}); {kept}"
            )
            raise Diverged(message, self.whole, self.kept)
        return History(tuple(self.epochs), self.kept if self.training.restore_best else len(self.epochs), self.ended)
