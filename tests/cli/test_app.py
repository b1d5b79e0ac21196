"""The command line as a person uses it: in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

MODELS = Path(__file__).parents[2] / "models"


def fpgaml(*args, **options):
    return subprocess.run(
        [sys.executable, "-m", "fpgaml", *map(str, args)], capture_output=True, text=True, check=False, **options
    )


def test_help_names_every_command():
    done = fpgaml("--help")
    assert done.returncode == 0
    for command in ("run", "doctor", "audit"):
        assert command in done.stdout


def test_doctor_finds_what_the_main_job_needs():
    done = fpgaml("doctor")
    assert done.returncode == 0, done.stderr
    assert "qkeras-v3" in done.stdout
    assert done.stdout.rstrip().endswith("the main job can run")


def test_doctor_without_a_compiler(tmp_path):
    done = fpgaml("doctor", env={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    assert done.returncode == 1
    assert "g++: install your system's C++ compiler (Debian, Ubuntu: apt install g++)" in done.stderr


def test_an_unknown_key_is_one_message_and_exit_code_2(tmp_path):
    (tmp_path / "card.toml").write_text("[trainning]\nepochs = 1\n")
    done = fpgaml("run", tmp_path / "card.toml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "has no key 'trainning'; did you mean 'training'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_is_exit_code_2():
    done = fpgaml("run", "--nonsense")
    assert done.returncode == 2
    assert "--nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def test_estimate_fit_and_boards():
    thing = MODELS / "trained/mnist_mlp_small/network.npz"
    done = fpgaml("estimate", thing, "--board", "pynq-z2")
    assert done.returncode == 0, done.stderr
    assert "after logic synthesis" in done.stdout
    assert "median error on repositories the fit had not seen" in " ".join(done.stdout.split())
    record = json.loads(fpgaml("estimate", thing, "--json").stdout)
    latency = record["design"]["HLS csynth"]["latency"]
    assert latency["low"] <= latency["median"] <= latency["high"]
    done = fpgaml("fit", MODELS / "mnist_mlp_small.toml", "--board", "pynq-z2")
    assert done.returncode == 0, done.stderr
    assert "reuse factor of fc1" in done.stdout
    assert "pynq-z2" in fpgaml("boards").stdout


def test_an_unknown_board_names_the_nearest():
    done = fpgaml("estimate", MODELS / "mnist_mlp_small.toml", "--board", "pynq-z9")
    assert done.returncode == 2
    assert "did you mean 'pynq-z" in done.stderr
