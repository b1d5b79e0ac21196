"""What each kind of layer must mean, place by place: a kind that lacks one is named, with the file that wants it.

CONTRIBUTING.md has the recipe: enter a new kind in KINDS, and this test says what is missing until nothing is. What a
kind needs none of is entered in NOT_APPLICABLE, with the reason.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from fpgaml.backend import lowering, readback
from fpgaml.estimate.adapter import describe
from fpgaml.exact import emulate
from fpgaml.exact.prove import argue
from fpgaml.ir.accumulate import output_interval
from fpgaml.ir.network import KINDS, Layer, Network, Weights
from fpgaml.precision.profile import profile
from tests.backend.test_hls4ml import NETWORKS
from tests.exact.test_emulate import CASES
from tests.networks import codes_for

ROOT = Path(__file__).parents[1]

# --- what a kind must mean -------------------------------------------------------------------------------------------

KERAS = {  # the Keras layer that becomes the kind
    "Input": "InputLayer",
    "Dense": "Dense",
    "Conv": "Conv2D",
    "DepthwiseConv": "DepthwiseConv2D",
    "MaxPool": "MaxPooling2D",
    "AveragePool": "AveragePooling2D",
    "Activation": "Activation|ReLU",
    "PRelu": "PReLU",
    "Table": "QActivation",
    "Affine": "BatchNormalization",
    "Flatten": "Flatten",
    "Reshape": "Reshape",
    "Pad": "ZeroPadding2D",
    "Upsample": "UpSampling2D",
    "Add": "Add",
    "Multiply": "Multiply",
    "Concatenate": "Concatenate",
}


@dataclass(frozen=True)
class Meaning:
    """One thing that a kind must have: how to see whether it has it, and what to write where if not."""

    has: Callable[[type[Layer]], bool]
    write: str


def registered(dispatch) -> Callable[[type[Layer]], bool]:
    return lambda kind: dispatch.dispatch(kind) is not dispatch.dispatch(object)


def overridden(name: str) -> Callable[[type[Layer]], bool]:
    return lambda kind: getattr(kind, name, None) is not getattr(Layer, name, None)


def keras_name_in(path: str, before: str = "") -> Callable[[type[Layer]], bool]:
    """Whether a file names the Keras layer of a kind, or QKeras' form of it, behind the text `before`."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return lambda kind: re.search(rf"{before}\bQ?({_stem(kind)})(\dD)?\b", text) is not None


def _stem(kind: type[Layer]) -> str:
    """Return the Keras layer of a kind without its number of axes."""
    return re.sub(r"\dD$", "", KERAS.get(kind.__name__, "no layer"))


def read_by(*paths: str) -> Callable[[type[Layer]], bool]:
    """Whether a table READERS has the Keras layer of a kind."""
    known = {key for path in paths if (ROOT / path).exists() for key in _keys(ROOT / path, "READERS")}
    return lambda kind: not known.isdisjoint(KERAS.get(kind.__name__, "").split("|"))


def _keys(path: Path, table: str) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and _is(node.target, table)]
    dicts = [node for value in values if value for node in ast.walk(value) if isinstance(node, ast.Dict)]
    return {key.value for one in dicts for key in one.keys if isinstance(key, ast.Constant)}


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def in_slow_reference(kind: type[Layer]) -> bool:
    tree = ast.parse((ROOT / "tests/slow.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    patterns = {
        one.name: {node.cls.id for node in ast.walk(one) if isinstance(node, ast.MatchClass)} for one in functions
    }
    return all(kind.__name__ in patterns[name] for name in ("element", "output_range"))


def read_back(kind: type[Layer]) -> bool:
    """Whether each weight array has a name in the C++, by which it is read from the project."""
    arrays = [name for name, hint in get_type_hints(kind).items() if hint is Weights]
    return all(lowering.HLS4ML_WEIGHT.get(name) in readback.FILE_PREFIX.values() for name in arrays)


def example(kind: type[Layer]) -> Network | None:
    """Return a network of tests/exact/test_emulate.py in which the kind occurs."""
    return next((made for made in CASES.values() if any(type(layer) is kind for layer in made)), None)


def profiled(kind: type[Layer]) -> bool:
    made = example(kind)
    names = {one.layer for one in profile(made, codes_for(made, 4)).tensors} if made else set()
    return any(type(layer) is kind and layer.name in names for layer in made or ())


def simulated(kind: type[Layer]) -> bool:
    return any(type(layer) is kind for made in NETWORKS.values() for layer in made)


BOTH = "fpgaml/frontend/readers.py"  # of quantized and of float models

MEANINGS = {
    "shape": Meaning(overridden("shape"), "its method `shape` in fpgaml/ir/network.py"),
    "result": Meaning(lambda kind: "result" in vars(kind), "its `result` in fpgaml/ir/network.py"),
    "words": Meaning(overridden("words"), "its property `words`, for a person, in fpgaml/ir/network.py"),
    "ranges": Meaning(registered(output_interval), "a function for `output_interval` in fpgaml/ir/accumulate.py"),
    "execution": Meaning(registered(emulate.prepare), "a function for `prepare` in fpgaml/exact/emulate.py"),
    "test of its execution": Meaning(lambda kind: example(kind) is not None, "a case in tests/exact/test_emulate.py"),
    "slow reference": Meaning(in_slow_reference, "its cases in `element` and `output_range` of tests/slow.py"),
    "proof": Meaning(registered(argue), "a function for `argue` in fpgaml/exact/prove.py"),
    "lowering": Meaning(registered(lowering.entry_of), "a function for `entry_of` in fpgaml/backend/lowering.py"),
    "read back": Meaning(
        read_back, "its weights in HLS4ML_WEIGHT of fpgaml/backend/lowering.py and FILE_PREFIX of readback.py"
    ),
    "test of its C++": Meaning(simulated, "it into a network of NETWORKS in tests/backend/test_hls4ml.py"),
    "cost": Meaning(registered(describe), "a function for `describe` in fpgaml/estimate/adapter.py"),
    "profile": Meaning(profiled, "what `result` and `renames` say, in fpgaml/ir/network.py"),
    "reader": Meaning(read_by(BOTH, "fpgaml/frontend/read.py"), f"a reader in {BOTH}, or in read.py"),
    "float reader": Meaning(read_by(BOTH, "fpgaml/frontend/floats.py"), f"a reader in {BOTH}"),
    "quantized twin": Meaning(
        keras_name_in("fpgaml/training/twin.py", r"keras\.layers\."), "a form in fpgaml/training/twin.py"
    ),
    "pruning": Meaning(
        keras_name_in("fpgaml/training/pruning.py", r"keras\.layers\."), "its way through fpgaml/training/pruning.py"
    ),
    "card": Meaning(keras_name_in("fpgaml/training/build.py", r"keras\.layers\."), "a layer of fpgaml/card/layers.py"),
    "hunt": Meaning(keras_name_in("tests/hunt.py"), "a way to draw it in tests/hunt.py"),
    "document": Meaning(keras_name_in("docs/exactness.md"), "a row in docs/exactness.md"),
}

# --- what a kind needs none of, and why ------------------------------------------------------------------------------

HEAD = "target/output_head.py makes it when a design asks for it; no Keras layer becomes it"
EVERY = "every network has one"
PLAIN_STACK = "cut_neurons refuses it by name: it cuts through plain stacks only"
STACKED = "a card stacks plain layers; a model of another form comes from model.function"
CAST = "a quantizer: a float model has none, a twin's are casts, a card names them, and documents have a row for each"
PRODUCT = "refused by name: a product of two tensors is read from models that say how it is rounded"

NOT_APPLICABLE: dict[str, dict[str, str]] = {
    "profile": {
        "Flatten": "its values are those of its source, and counted there",
        "Reshape": "its values are those of its source, and counted there",
    },
    "proof": {"Input": EVERY},
    "reader": {"ArgMax": HEAD},
    "float reader": {"ArgMax": HEAD, "Table": CAST},
    "quantized twin": {"ArgMax": HEAD, "Table": CAST, "Multiply": PRODUCT},
    "pruning": {"Input": EVERY, "ArgMax": HEAD, "Table": CAST}
    | dict.fromkeys(("DepthwiseConv", "Reshape", "Pad", "Add", "Multiply", "Concatenate"), PLAIN_STACK),
    "card": {"Input": EVERY, "ArgMax": HEAD, "Table": CAST}
    | dict.fromkeys(("DepthwiseConv", "Pad", "Add", "Multiply", "Concatenate"), STACKED),
    "hunt": {"Input": EVERY, "ArgMax": HEAD},
    "document": {"Input": EVERY, "ArgMax": HEAD, "Table": CAST},
}

# --- the tests -------------------------------------------------------------------------------------------------------


def missing(kind: type[Layer]) -> list[str]:
    """Return a sentence for each meaning that a kind lacks, and for each that NOT_APPLICABLE denies without need."""
    found = []
    for name, meaning in MEANINGS.items():
        excused, has = kind.__name__ in NOT_APPLICABLE.get(name, {}), meaning.has(kind)
        if not has and not excused:
            found.append(
                f"{kind.__name__} has no {name}: write {meaning.write}, or in NOT_APPLICABLE why it needs none"
            )
        if has and excused:
            found.append(f"{kind.__name__} has a {name}: take it out of NOT_APPLICABLE")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_means_all_it_must(kind):
    assert "\n".join(missing(KINDS[kind])) == ""


def test_only_kinds_and_meanings_that_exist_are_excused():
    assert NOT_APPLICABLE.keys() <= MEANINGS.keys()
    assert {kind for excused in NOT_APPLICABLE.values() for kind in excused} <= KINDS.keys()
    assert KERAS.keys() <= KINDS.keys()


@dataclass(frozen=True)
class Fresh(Layer):
    """A kind of layer that somebody has just begun."""

    matter: Weights


def test_a_new_kind_is_told_all_it_lacks():
    told = missing(Fresh)
    assert len(told) == len(MEANINGS)
    assert told[3] == (
        "Fresh has no ranges: write a function for `output_interval` in fpgaml/ir/accumulate.py, or in NOT_APPLICABLE "
        "why it needs none"
    )


ASKED = [  # an Activation alone can be left out or merged; hls4ml treats a depthwise kernel apart
    ("backend/lowering.py", "DepthwiseConv"),
    ("backend/readback.py", "Activation"),
    ("exact/comparison.py", "Activation"),
    ("exact/prove.py", "Activation"),
    ("target/design.py", "DepthwiseConv"),
]


def test_no_other_module_asks_for_the_class_of_a_layer():
    """What a kind means has a name in network.py, or a function of its own for `singledispatch`."""
    assert [(path, name) for path in SOURCES for name in asked(path)] == ASKED


SOURCES = sorted(
    str(path.relative_to(ROOT / "fpgaml")) for path in (ROOT / "fpgaml").rglob("*.py") if path.name != "network.py"
)


def asked(path: str) -> list[str]:
    """Return the kinds of layer that a file asks for with isinstance or match."""
    tree = ast.parse((ROOT / "fpgaml" / path).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "fpgaml.ir.network"
        for alias in node.names
        if alias.name in KINDS
    }
    found = [node.args[1] for node in ast.walk(tree) if isinstance(node, ast.Call) and _is(node.func, "isinstance")]
    found += [node.cls for node in ast.walk(tree) if isinstance(node, ast.MatchClass)]
    names = [one.id for node in found for one in ast.walk(node) if isinstance(one, ast.Name)]
    return [name for name in names if name in imported]
