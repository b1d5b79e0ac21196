"""All three cards, both backends, both io types: every logit of all 10,000 test images, bit for bit.

    python -m tests.matrix        (make matrix)   no training: the models in models/trained

QKeras, the emulator and the C simulation of each project are compared as numbers; exit code 1 if one logit differs.
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from fpgaml.backend import cpp
from fpgaml.card.toml import load_card
from fpgaml.datasets.sources import load_data
from fpgaml.exact import emulate
from fpgaml.flow import verbs
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.saving import load
from fpgaml.target.design import IoType
from fpgaml.target.toolchain import Backend

MODELS = Path(__file__).parent.parent / "models"


def main():
    """Print one line a combination and return whether all are equal."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from fpgaml.frontend import store

    equal = True
    for name in ("mnist_mlp", "mnist_mlp_small", "mnist_cnn"):
        card = load_card(MODELS / f"{name}.toml")
        data = load_data(card)
        network = load(MODELS / "trained" / name / "network.npz")
        model = store.load(MODELS / "trained" / name / "quantized.keras")
        reading = verbs.read_model(model, network.name, data.input_type)
        assert reading.network == network, f"{name}: network.npz is not what quantized.keras is read as"
        keras = verbs.keras_logits(model, data, data.x_test)
        kind = tensor_types(network)[network.output.name]
        codes = emulate.run(network, data.x_test)
        accuracy = (keras.argmax(axis=1) == data.y_test).mean()
        for backend in Backend:
            for io_type in IoType:
                with tempfile.TemporaryDirectory() as folder:
                    design = replace(card.design.resolve(), backend=backend, io_type=io_type)
                    project = cpp.convert(network, design, Path(folder) / "hls")
                    found = cpp.simulate(project, data.x_test)
                wrong = int((found != codes).sum()), int((kind.decode(found) != keras).sum())
                equal &= wrong == (0, 0)
                print(
                    f"{name:16} {backend:7} {io_type:12} {accuracy:.2%}  of {found.size:,} logits differ: "
                    f"emulator {wrong[0]:,}, QKeras {wrong[1]:,}",
                    flush=True,
                )
    return equal


if __name__ == "__main__":
    sys.exit(not main())
