"""The vendor's tools behind a backend: one record each, with everything in which they differ.

    >>> Backend.VITIS.toolchain.programs[0].name
    'vitis_hls'

Nothing else in fpgaml asks which backend it is: what another one needs is one more record here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Version = tuple[int, int]  # year and number: 2020.1


class Tool(StrEnum):
    """The high-level synthesis program; the two cost differently for the same C++."""

    VIVADO_HLS = "Vivado HLS"
    VITIS_HLS = "Vitis HLS"

    @property
    def toolchain(self) -> Toolchain:
        """The record of the backend that this program synthesizes."""
        return BY_TOOL[self]


class Backend(StrEnum):
    """hls4ml's backend."""

    VIVADO = "Vivado"
    VITIS = "Vitis"

    @property
    def toolchain(self) -> Toolchain:
        """What the tools behind this backend are and need."""
        return TOOLCHAINS[self]

    @property
    def tool(self) -> Tool:
        """The program that synthesizes what this backend writes."""
        return self.toolchain.tool


class ToolStep(StrEnum):
    """What can be asked of the vendor's tools, in the order it is done."""

    CSIM = "csim"
    CSYNTH = "csynth"
    COSIM = "cosim"
    EXPORT = "export"
    VIVADO = "vivado"


@dataclass(frozen=True)
class VendorProgram:
    """A program that synthesizes C++: its name, the versions supported, and how it is asked for its own.

    component: it takes a configuration file and is called once a step, with vitis-run beside it; the others run
    ``run_hls.tcl``.
    """

    name: str
    first: Version
    last: Version
    version_flag: str = "-version"
    component: bool = False


@dataclass(frozen=True)
class Toolchain:
    """What fpgaml must know of a backend's tools."""

    tool: Tool
    programs: tuple[VendorProgram, ...]  # the first that is found does the work
    install: str
    clock_uncertainty: float  # share of the period that HLS leaves for routing
    how: str  # to start it by hand, for the project's README; {top} is the network's name
    settings: str = ""  # Tcl in run_hls.tcl that this program alone takes
    axi: Mapping[str, str] = field(default_factory=dict)  # what the templates of the AXI wrappers leave open
    # What it makes of the same C++, as far as the estimator knows (docs/decisions.md):
    wide_fifos: bool = False  # io_stream: one FIFO as wide as a pixel; else one for each value of it
    entry_process: bool = False  # a parallel dataflow begins with a process of its own, so the inputs have FIFOs too
    pixel_a_cycle: bool = False  # io_stream: a convolution without reuse takes a pixel in each cycle
    refuses_to_unroll: bool = False  # beyond its limit of products it stops; else it may only take for ever

    @property
    def command(self) -> str:
        """The name of the program that people call first."""
        return self.programs[0].name

    @property
    def component(self) -> VendorProgram | None:
        """The program of the component flow, if there is one."""
        return next((one for one in self.programs if one.component), None)


VIVADO_HLS = VendorProgram("vivado_hls", (2018, 1), (2020, 1))
VITIS_HLS = VendorProgram("vitis_hls", (2020, 2), (2025, 2))
COMPONENT = VendorProgram("v++", (2023, 2), (2025, 2), "--version", component=True)

# Clock uncertainty: the tools' own defaults, and hls4ml's.
TOOLCHAINS = {
    Backend.VIVADO: Toolchain(
        Tool.VIVADO_HLS,
        (VIVADO_HLS,),
        "Vivado HLS (part of Vivado 2018.1 to 2020.1)",
        clock_uncertainty=0.125,
        how="Vivado HLS 2018 to 2020.1:\n\n    vivado_hls -f run_hls.tcl\n    vivado_hls -p {top}_prj",
        settings="# Arrays of up to 4096 elements may be split into registers.\n"
        "config_array_partition -maximum_size 4096\n",
        axi={
            "side": "1",  # Vivado HLS has no side channel of 0 bits
            "side_channels": "        beat.user = 0;\n        beat.id = 0;\n        beat.dest = 0;\n",
            "data_pack": "#pragma HLS DATA_PACK variable=pack\n",  # as hls4ml's layers: one wide FIFO
            "axis": "axis register both",
        },
        entry_process=True,
        pixel_a_cycle=True,
        refuses_to_unroll=True,
    ),
    Backend.VITIS: Toolchain(
        Tool.VITIS_HLS,
        (VITIS_HLS, COMPONENT),
        "Vitis HLS (part of Vitis or Vivado 2020.2 to 2025.2)",
        clock_uncertainty=0.27,
        how="Vitis HLS 2020.2 and later, as long as it has `vitis_hls`:\n\n    vitis_hls -f run_hls.tcl\n"
        "    vitis_hls -p {top}_prj          # look at it\n\n"
        "The component flow (Vitis 2023.2 and later):\n\n"
        "    v++ -c --mode hls --config hls_config.cfg --work_dir {top}_hls\n"
        "    vitis-run --mode hls --csim --config hls_config.cfg --work_dir {top}_hls\n"
        "    vitis -w .                            # look at it",
        axi={"side": "0", "side_channels": "", "data_pack": "", "axis": "mode=axis register_mode=both"},
        wide_fifos=True,
    ),
}
BY_TOOL = {one.tool: one for one in TOOLCHAINS.values()}


def tool_of(version: Version) -> Tool:
    """Return the program that wrote a report, by its version: Vitis HLS began where Vivado HLS ended."""
    return Tool.VIVADO_HLS if version <= VIVADO_HLS.last else Tool.VITIS_HLS
