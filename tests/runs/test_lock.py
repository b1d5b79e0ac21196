"""One process at a time in a run's folder."""

import re
import signal
import subprocess
import sys

import pytest

from fpgaml.card.toml import card_of
from fpgaml.errors import ConfigError
from fpgaml.flow import steps
from fpgaml.runs.lock import LOCK, alone_in
from fpgaml.runs.workspace import Workspace

HOLD = (
    "import sys, time; from pathlib import Path; from fpgaml.runs.lock import alone_in\n"
    "with alone_in(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder of the run."""
    (tmp_path / "mnist_mlp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "mnist_mlp"), "--fast"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_told_who_holds_the_folder(tmp_path, holder):
    with pytest.raises(ConfigError) as caught:
        steps.run(card_of({}), base=tmp_path)
    folder = re.escape(str(tmp_path / "mnist_mlp"))
    assert re.fullmatch(
        rf"output folder {folder} is in use by process {holder.pid} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d: -c "
        rf"{folder} --fast; wait until it ends",
        str(caught.value),
    )
    assert [path.name for path in (tmp_path / "mnist_mlp").iterdir()] == [LOCK]


def test_a_killed_holder_holds_nothing(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with alone_in(tmp_path / "mnist_mlp"):
        pass


def test_what_another_process_did_meanwhile_is_seen(tmp_path):
    card = card_of({})
    late = Workspace.at(card, tmp_path)
    with Workspace.at(card, tmp_path).held():
        early = Workspace.open(card, tmp_path)
        early.state["train"] = {"digest": "other"}
        early.save_state()
    with late.held():
        assert late.state == {"train": {"digest": "other"}}
