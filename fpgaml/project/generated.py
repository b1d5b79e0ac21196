"""Make a generated project worth opening: settings, scripts for each vendor tool, a Makefile, a README, a picture.

    write_project(network, design, project, codes, wrapper=Wrapper.STREAM)

does all of it: test bench and golden vectors (testbench.py), the AXI wrapper (axi.py), and the files that stand beside
them here. hls4ml's own scripts and its test bench, which passes whatever the C++ computes, are removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.diagram import diagram, shape_text, weight_count
from fpgaml.ir.fixed import Codes
from fpgaml.ir.network import Network, weights_of
from fpgaml.project.axi import Wrapper, default_width, write_lite, write_stream
from fpgaml.project.testbench import write_testbench
from fpgaml.target.design import Design
from fpgaml.target.measurement import Measurement, Metric
from fpgaml.target.template import fill

HERE = Path(__file__).parent / "templates"
HLS4ML_FILES = ("build_prj.tcl", "build_opt.tcl", "build_lib.sh", "hls4ml_config.yml", "{name}_bridge.cpp")
COSIM_IMAGES = 10
Estimate = Mapping[Metric, Measurement]


def write_project(
    network: Network,
    design: Design,
    project: Path,
    codes: NDArray[np.integer],
    *,
    wrapper: Wrapper | None = Wrapper.STREAM,
    data_width: int | None = None,
    traced: Mapping[str, Codes] | None = None,
    estimate: Estimate | None = None,
) -> None:
    """Write everything around the C++ of a converted project; `codes` are the golden input images.

    `traced`: what the emulator makes of them, layer by layer, if that is known already.

    `data_width` of the stream: 32 bits if not given, or 64 if a code needs more.

    Raises: ConfigError if the wrapper cannot carry the codes; DataError, FormatError as `write_testbench`.
    """
    write_testbench(network, project, codes, traced)
    if wrapper is Wrapper.STREAM:
        write_stream(network, design, project, data_width or default_width(network))
    elif wrapper is Wrapper.LITE:
        write_lite(network, design, project)
    write_scripts(network, design, project, wrapper=wrapper)
    write_readme(network, design, project, wrapper=wrapper, estimate=estimate)
    for name in HLS4ML_FILES:
        (project / name.format(name=network.name)).unlink(missing_ok=True)


def write_scripts(network: Network, design: Design, project: Path, *, wrapper: Wrapper | None = None) -> None:
    """Write ``project.tcl``, ``run_hls.tcl``, ``vivado_synth.tcl``, ``hls_config*.cfg`` (Vitis) and a Makefile."""
    text = _settings(network, design)
    for name in ("project.tcl", "run_hls.tcl", "vivado_synth.tcl"):
        _write(project / name, f"{name}.in", text)
    if design.backend.toolchain.component:
        for kind in (None, wrapper) if wrapper else (None,):
            name = "hls_config.cfg" if kind is None else f"hls_config_{kind}.cfg"
            _write(project / name, "hls_config.cfg.in", text | _component(network, kind))
    _write(project / "Makefile", "project.mk.in", text | _make_rules(network, wrapper))


def write_readme(
    network: Network,
    design: Design,
    project: Path,
    *,
    wrapper: Wrapper | None = None,
    estimate: Estimate | None = None,
) -> None:
    """Write ``README.md`` and ``network.svg``."""
    (project / "network.svg").write_text(diagram(network), encoding="utf-8")
    toolchain = design.backend.toolchain
    component = toolchain.component
    cfg = f"| `hls_config.cfg` | the same for `{component.name}` and `vitis-run` |\n" if component else ""
    axi = f"| `axi/` | the network behind {'AXI4-Stream' if wrapper is Wrapper.STREAM else 'AXI4-Lite'} |\n"
    text = _settings(network, design) | {
        "layers": layer_table(network, design),
        "digest": network.digest,
        "io_type": str(design.io_type),
        "strategy": str(design.strategy),
        "reuse": str(design.reuse_factor),
        "estimate": _estimate_rows(estimate),
        "how": toolchain.how.format(top=network.name),
        "verilog": f"{network.name}_prj/solution1/syn/verilog",
        "cfg_row": cfg,
        "wrapper_row": axi if wrapper else "",
    }
    _write(project / "README.md", "project_readme.md.in", text)


def layer_table(network: Network, design: Design) -> str:
    """Return the network as a Markdown table: layer, kind, output, type, weights with their type, reuse factor."""
    types = tensor_types(network)
    lines = ["| layer | kind | output | type | weights | reuse factor |", "|---|---|---|---|---|---|"]
    for layer in network:
        count = weight_count(layer)
        kernel = next(iter(weights_of(layer).values()), None)
        weights = f"{count:,} of `{kernel.type}`" if kernel else ""
        reuse = str(design.reuse_of(layer.name)) if kernel else ""
        cells = (f"`{layer.name}`", type(layer).__name__, shape_text(network, layer.name), f"`{types[layer.name]}`")
        lines.append(f"| {' | '.join((*cells, weights, reuse))} |")
    return "\n".join(lines)


def _settings(network: Network, design: Design) -> dict[str, str]:
    toolchain = design.backend.toolchain
    return {
        "top": network.name,
        "backend": design.backend.lower(),
        "tool": str(design.tool),
        "command": toolchain.command,
        "part": design.part,
        "clock_ns": f"{design.clock_ns:g}",
        "uncertainty": f"{100 * toolchain.clock_uncertainty:g}%",
        "cosim_images": str(COSIM_IMAGES),
        "vivado_hls_only": toolchain.settings,
    }


def _component(network: Network, wrapper: Wrapper | None) -> dict[str, str]:
    """Return what the component flow's configuration leaves open."""
    top = network.name if wrapper is None else f"{network.name}_{wrapper}"
    return {
        "hls_top": top,
        "bench": f"{top}_test.cpp" if wrapper is None else f"axi/{top}_test.cpp",
        "wrapper_file": "" if wrapper is None else f"syn.file=axi/{top}.cpp\n",
        "wrapper_comment": "" if wrapper is None else " and its wrapper",
    }


def _make_rules(network: Network, wrapper: Wrapper | None) -> dict[str, str]:
    if wrapper is None:
        return {"wrapper_targets": "", "wrapper_runs": "", "wrapper_rules": ""}
    top = f"{network.name}_{wrapper}"
    rule = (
        f"\n$(BUILD)/{wrapper}: axi/{top}_test.cpp axi/{top}.cpp firmware/{network.name}.cpp\n\t@mkdir -p $(BUILD)\n"
        "\t$(CXX) $(HERE) -Iaxi -Iaxi/sim $(CXXFLAGS) $^ -o $@\n"
    )
    return {
        "wrapper_targets": f" $(BUILD)/{wrapper}",
        "wrapper_runs": f"\t./$(BUILD)/{wrapper}\n",
        "wrapper_rules": rule,
    }


def _estimate_rows(estimate: Estimate | None) -> str:
    """Return the rows of the estimate, each with its source; ``~`` marks what was not measured."""
    if not estimate:
        return ""
    return "".join(f"| {metric} | {found} ({found.source}) |\n" for metric, found in estimate.items())


def _write(path: Path, template: str, text: Mapping[str, str]) -> None:
    path.write_text(fill(HERE / template, text), encoding="utf-8")
