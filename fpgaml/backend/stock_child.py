"""Runs inside a child process: convert a Keras model with hls4ml as a user would, and say what comes out.

    python -P stock_child.py REQUEST.json IMAGES.npy

First hls4ml's own way with its defaults: ``config_from_keras_model(granularity="name")``, ``convert_from_keras_model``,
``trace``. If that fails, its message is kept, and the same layers go to hls4ml's Keras-2 handlers, which know QKeras:
they get the model as Keras 2 would have written it, and read the weights from the model itself. Everything after the
parsing is hls4ml's, with its defaults. Results: ``result.json``, ``values.npz`` (a layer's values by its name).
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
from hls4ml.converters.keras_v2_to_hls import keras_v2_to_hls

sys.path.append(str(Path(__file__).resolve().parents[2]))  # -P left our own package out


class Keras2(dict[str, Any]):
    """A model as Keras 2 describes it: a dict to hls4ml's configuration, a model to its reader of weights."""

    def __init__(self, model: Any, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.get_layer = model.get_layer

    def to_json(self) -> str:
        """Return the description; named as in Keras."""
        return json.dumps(self)


def keras2(model: Any) -> Keras2:
    """Return a Keras 3 model in the form of Keras 2, as a functional model."""
    from fpgaml.frontend.graph import walk

    written = {entry["config"]["name"]: entry for entry in json.loads(model.to_json())["config"]["layers"]}
    layers = []
    nodes = list(walk(model))
    for node in nodes:
        entry = written.get(node.name) or {"class_name": "InputLayer", "config": {"name": node.name}}
        config = dict(entry["config"])
        if entry["class_name"] == "InputLayer":
            config["batch_input_shape"] = [None, *node.shape]
        inbound = [[[source, 0, 0, {}] for source in node.sources]] if node.sources else []
        layers.append(
            {"class_name": entry["class_name"], "name": node.name, "config": config, "inbound_nodes": inbound}
        )
    ends = {"input_layers": [[nodes[0].name, 0, 0]], "output_layers": [[nodes[-1].name, 0, 0]]}
    return Keras2(model, {"class_name": "Functional", "config": {"layers": layers, **ends}})


def by_converter(model: Any, options: dict[str, Any], project: dict[str, Any]) -> Any:
    """Convert as hls4ml's documentation does it."""
    config = traced(hls4ml.utils.config_from_keras_model(model, **options))
    return hls4ml.converters.convert_from_keras_model(model, hls_config=config, **project)


def by_handlers(model: Any, options: dict[str, Any], project: dict[str, Any]) -> Any:
    """Convert by hls4ml's Keras-2 handlers, with the same defaults."""
    old = keras2(model)
    config = traced(hls4ml.utils.config_from_keras_model(old, **options))
    whole = hls4ml.utils.config.create_config(**project)
    whole |= {"KerasModel": old, "InputData": None, "OutputPredictions": None, "HLSConfig": config}
    return keras_v2_to_hls(whole)


def traced(config: dict[str, Any]) -> dict[str, Any]:
    """Ask for every layer's values: tracing changes no bit."""
    for entry in config["LayerName"].values():
        entry["Trace"] = True
    return config


def attempt(convert: Any, args: tuple[Any, ...], images: Any, values: str) -> dict[str, Any]:
    """Convert, compile and run; write the values; return what happened, as JSON-ready data."""
    start = time.perf_counter()
    step = "conversion"
    nothing: dict[str, Any] = {"values": "", "order": [], "kinds": {}, "types": {}}
    try:
        graph = convert(*args)
        step = "C simulation"
        output, traces = graph.trace(images)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever hls4ml raises is the result)
        traceback.print_exc()
        text = f"{step}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return nothing | {"failed": text, "seconds": time.perf_counter() - start}
    single = len(images) == 1  # hls4ml leaves the images axis out then
    shaped = {name: array[None] if single and array.shape[0] != 1 else array for name, array in traces.items()}
    np.savez(values, allow_pickle=False, output=output, **{f"layer.{name}": array for name, array in shaped.items()})
    layers = list(graph.get_layers())
    found = {
        "values": values,
        "order": [layer.name for layer in layers if layer.name in traces],
        "kinds": {layer.name: layer.class_name for layer in layers},
        "types": {layer.name: str(layer.get_output_variable().type.precision) for layer in layers},
    }
    return found | {"failed": None, "seconds": time.perf_counter() - start}


def main(request_path: str, images_path: str) -> None:
    """Do what the request says."""
    from fpgaml.frontend import store

    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    model, images = store.load(Path(request["model"])), np.ascontiguousarray(np.load(images_path), np.float64)
    project = request["project"]
    calls = {
        f"config_from_keras_model(model, granularity='name', backend='{project['backend']}')": {
            "granularity": "name",
            "backend": project["backend"],
        },
        "config_from_keras_model(model, granularity='name')": {"granularity": "name"},
    }
    results = []
    for number, (call, options) in enumerate(calls.items()):
        place = project | {"output_dir": f"{request['folder']}/project{number}"}
        found = attempt(by_converter, (model, options, place), images, f"values{number}.npz")
        refused = found["failed"]
        if refused:
            found = attempt(by_handlers, (model, options, place), images, f"values{number}.npz")
        results.append({"call": call, "refused": refused, **found})
    Path("result.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
