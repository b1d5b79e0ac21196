"""Stands in for the vendor's tools: checks its arguments, runs the Tcl it is given, leaves what the real tool leaves.

The scripts run in a real Tcl interpreter in which the tool's commands are recorders: an unknown command or option, or a
file that does not exist, ends the program with code 64. Environment:

    FAKE_VERSION   what it says it is            FAKE_FAIL    a command that fails (csynth_design, synth_design, ...)
    FAKE_CSIM=1    csim_design really compiles   FAKE_SLEEP   seconds that C synthesis takes
    FAKE_REPORTS=0 C synthesis leaves no report  FAKE_KILL=1  it is killed, as for want of memory
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import tkinter
from pathlib import Path

VERSIONS = {"vitis_hls": "2023.1", "vivado_hls": "2019.2", "v++": "2024.2", "vitis-run": "2024.2", "vivado": "2023.1"}

CSYNTH = """<profile><ReportVersion><Version>{version}</Version></ReportVersion>
<UserAssignments><Part>{part}</Part><TopModelName>{top}</TopModelName><TargetClockPeriod>{clock:.2f}</TargetClockPeriod>
</UserAssignments><PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>7.117</EstimatedClockPeriod>
</SummaryOfTimingAnalysis><SummaryOfOverallLatency><Worst-caseLatency>93</Worst-caseLatency>
<Interval-max>90</Interval-max></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>4</BRAM_18K><DSP>7</DSP><FF>1200</FF><LUT>3400</LUT><URAM>0</URAM></Resources>
</AreaEstimates></profile>
"""
COSIM = """Report time       : Sun May 17 03:38:56 AM CST 2026.
Solution          : solution1.
Simulation tool   : xsim.

+----------+----------+-----------------------------------------------+-----------------------------------------------+
|          |          |             Latency(Clock Cycles)             |              Interval(Clock Cycles)           |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |
+----------+----------+-----------------------------------------------+-----------------------------------------------+
|      VHDL|        NA|             NA|             NA|             NA|             NA|             NA|             NA|
|   Verilog|      Pass|             91|             92|             95|             90|             90|             94|
+----------+----------+-----------------------------------------------+-----------------------------------------------+
"""
HEAD = """| Tool Version : Vivado v.{version} (lin64) Build 1 Wed May 27 19:54:35 MDT 2020
| Design       : {top}
| Device       : {device}
"""
UTILIZATION = (
    HEAD
    + """
| Slice LUTs*                |  3100 |     0 |     53200 |  5.83 |
| Slice Registers            |  1100 |     0 |    106400 |  1.03 |
| Block RAM Tile             |   1.5 |     0 |       140 |  1.07 |
| DSPs                       |     7 |     0 |       220 |  3.18 |
"""
)
TIMING = (
    HEAD
    + """
| Design Timing Summary
| ---------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
      2.479        0.000                      0                  723        0.022        0.000

| Clock Summary
| -------------

Clock   Waveform(ns)       Period(ns)      Frequency(MHz)
-----   ------------       ----------      --------------
ap_clk  {{0.000 5.000}}        {clock:.3f}          100.000
"""
)


def refuse(text):
    print(f"fake tool: {text}")
    leave(64)


def leave(code):
    """End at once: an exception would become one of Tcl's."""
    sys.stdout.flush()
    os._exit(int(code))


class Recorder:
    """A Tcl interpreter with the commands of a tool; `told` is what the script has set."""

    def __init__(self, name):
        self.name, self.told, self.sources, self.bench, self.copied = name, {}, [], "", []
        self.tcl = tkinter.Tcl()
        self.tcl.createcommand("exit", lambda code="0": leave(code))
        self.tcl.createcommand("puts", lambda text: print(text, flush=True))
        for command in COMMANDS["vivado" if name == "vivado" else "hls"]:
            self.tcl.createcommand(command, lambda *args, command=command: self.call(command, args))

    def run(self, script, arguments=()):
        self.tcl.setvar("argv", self.tcl.call("list", *arguments))
        self.tcl.setvar("argc", str(len(arguments)))
        try:
            self.tcl.eval(f"info script {{{script}}}; source {{{script}}}")
        except tkinter.TclError as error:
            refuse(f"{script}: {error}")

    def call(self, command, args):
        print("fake tool:", command, *args, flush=True)
        if os.environ.get("FAKE_FAIL") == command:
            raise RuntimeError("told to fail")
        act = getattr(self, command, None)
        return act(*args) if act else ""

    @property
    def top(self):
        return self.told["top"]

    @property
    def solution(self):
        folder = Path(self.told["project"]) / "solution1"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def open_project(self, name):
        self.told["project"] = name

    def set_top(self, name):
        self.told["top"] = name

    def set_part(self, part):
        self.told["part"] = part

    def create_clock(self, *args):
        self.told["clock"] = float(args[args.index("-period") + 1])

    def add_files(self, *args):
        args = [arg for arg in args if arg != "-norecurse"]
        if "-cflags" in args:
            at = args.index("-cflags")
            if args[at + 1] != "-std=c++0x":
                refuse(f"unexpected flags {args[at + 1]}")
            del args[at : at + 2]
        (path,) = [arg for arg in args if arg != "-tb"]
        if self.name != "vivado" and not Path(path).exists():
            refuse(f"there is no {path}")
        if "-tb" not in args:
            self.sources.append(path)
        elif path.endswith(".cpp"):
            self.bench = path
        else:
            self.copied.append(path)

    def csim_design(self):
        if not os.environ.get("FAKE_CSIM"):
            return
        build = self.solution / "csim" / "build"
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)
        for folder in self.copied:
            shutil.copytree(folder, build / Path(folder).name)
        types = Path(self.sources[0]).parent / "ap_types"
        subprocess.run(
            ["g++", "-std=gnu++11", "-w", f"-I{types}", self.bench, *self.sources, "-o", "csim.exe"],
            cwd=build,
            check=True,
        )
        if subprocess.run(["./csim.exe"], cwd=build).returncode:
            raise RuntimeError("CSim failed with errors")

    def csynth_design(self):
        time.sleep(float(os.environ.get("FAKE_SLEEP", "0")))
        if os.environ.get("FAKE_KILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        self.leave(self.solution)

    def leave(self, folder):
        (folder / "syn" / "verilog").mkdir(parents=True, exist_ok=True)
        (folder / "syn" / "verilog" / f"{self.top}.v").write_text("module;\n")
        (folder / "syn" / "report").mkdir(exist_ok=True)
        if os.environ.get("FAKE_REPORTS") != "0":
            text = CSYNTH.format(
                version=version(self.name), top=self.top, part=self.told["part"], clock=self.told["clock"]
            )
            (folder / "syn" / "report" / "csynth.xml").write_text(text)

    def cosim_design(self, *args):
        if args[:3] != ("-rtl", "verilog", "-argv"):
            refuse(f"cosim_design {args}")
        self.leave_cosim(self.solution)

    def leave_cosim(self, folder):
        (folder / "sim" / "report").mkdir(parents=True, exist_ok=True)
        (folder / "sim" / "report" / f"{self.top}_cosim.rpt").write_text(COSIM)

    def export_design(self, *args):
        if args[:2] != ("-format", "ip_catalog"):
            refuse(f"export_design {args}")
        (self.solution / "impl" / "ip").mkdir(parents=True, exist_ok=True)
        (self.solution / "impl" / "ip" / "component.xml").write_text("<ip/>")

    # vivado

    def get_board_parts(self, *args):
        return os.environ.get("FAKE_BOARD", args[-1].replace("*", "x"))

    def create_project(self, *args):
        self.told["part"] = args[args.index("-part") + 1]
        folder = Path(args[2])
        for path in (
            f"{folder}.gen/sources_1/bd/system/hw_handoff/system.hwh",
            f"{folder}.runs/impl_1/system_wrapper.bit",
        ):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("made by a fake tool")
        self.told["runs"] = str(folder / f"{folder}.runs" / "impl_1")

    def create_bd_cell(self, *args):
        return args[-1]

    def get_ipdefs(self, *args):
        return args[-1].replace("*:hls", "fpgaml:hls").replace(":*", ":1.0")

    def get_property(self, name, thing):
        return {"PROGRESS": "100%", "STATS.WNS": os.environ.get("FAKE_WNS", "0.5"), "DIRECTORY": self.told["runs"]}[
            name
        ]

    def get_bd_intf_pins(self, name):
        return name

    def get_bd_pins(self, name):
        return name

    def get_bd_addr_spaces(self, name):
        return name

    def get_bd_addr_segs(self, name):
        return name

    def get_files(self, name):
        return name

    def get_runs(self, name):
        return name

    def write_hw_platform(self, *args):
        Path(args[-1]).write_text("made by a fake tool")

    def read_verilog(self, paths):
        for path in self.tcl.splitlist(paths):
            if not Path(path).is_file():
                refuse(f"there is no {path}")

    def synth_design(self, *args):
        if "out_of_context" not in args:
            refuse("synth_design is not out of context")
        self.told |= {"top": args[args.index("-top") + 1], "part": args[args.index("-part") + 1]}

    def report_utilization(self, *args):
        self.write(args[-1], UTILIZATION)

    def report_timing_summary(self, *args):
        self.write(args[-1], TIMING)

    def write(self, path, text):
        known = {"top": "system_wrapper", "clock": 10.0} | self.told
        device = known["part"].removeprefix("xc")
        Path(path).write_text(text.format(version=version("vivado"), device=device, **known))


COMMANDS = {
    "hls": """open_project set_top add_files open_solution set_part create_clock set_clock_uncertainty config_compile
        config_schedule config_array_partition csim_design csynth_design cosim_design export_design""".split(),
    "vivado": """read_verilog add_files synth_design create_clock get_ports opt_design report_utilization
        report_timing_summary get_board_parts create_project set_property current_project
        update_ip_catalog create_bd_design create_bd_cell apply_bd_automation get_ipdefs
        connect_bd_intf_net connect_bd_net get_bd_intf_pins get_bd_pins get_bd_addr_spaces
        get_bd_addr_segs assign_bd_address validate_bd_design save_bd_design get_files make_wrapper
        current_fileset generate_target launch_runs wait_on_run get_runs get_property open_run
        write_hw_platform""".split(),
}


def version(name):
    return os.environ.get("FAKE_VERSION", VERSIONS[name])


def component(name, args):
    """The component flow: a configuration file instead of a script."""
    options = dict(itertools.pairwise(args))
    config = Path(options["--config"])
    text = config.read_text()
    if "[hls]" not in text or "--work_dir" not in options:
        refuse(f"{config} has no [hls], or there is no --work_dir")
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]
    for key, value in pairs:
        if key in ("syn.file", "tb.file") and not (config.parent / value).exists():
            refuse(f"{config}: {key} {value} does not exist")
    known = dict(pairs)
    fake = Recorder(name)
    fake.told = {"top": known["syn.top"], "part": known["part"], "clock": float(known["clock"].removesuffix("ns"))}
    folder = Path(options["--work_dir"]) / "hls"
    print("fake tool:", name, *args)
    if name == "v++":
        fake.leave(folder)
    elif "--cosim" in args:
        fake.leave_cosim(folder)
    elif "--csim" not in args and "--package" not in args:
        refuse(f"{name} {args}")


def main(name, *args):
    if args in (("-version",), ("--version",)):
        print(f"fake {name} v{version(name)} (64-bit)")
    elif name in ("v++", "vitis-run"):
        if args[: 3 if name == "v++" else 2] != (("-c", "--mode", "hls") if name == "v++" else ("--mode", "hls")):
            refuse(f"{name} {args}")
        component(name, args)
    elif name == "vivado":
        if args[:3] != ("-mode", "batch", "-source") or args[4:5] not in ((), ("-tclargs",)):
            refuse(f"{name} {args}")
        Recorder(name).run(args[3], args[5:])
    else:
        if args[:1] != ("-f",) or len(args) != 2:
            refuse(f"{name} {args}")
        Recorder(name).run(args[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
