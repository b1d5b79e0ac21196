"""What is made beside its place: there whole, or not there."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from fpgaml.whole import STALE_S, clear_unfinished, made_whole


def test_a_file_takes_its_place_when_it_is_made(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text("old")
    with made_whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.name == "card.toml"  # some writers go by the suffix
    assert path.read_text() == "new"
    assert [path] == list(tmp_path.iterdir())


def test_a_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").write_text("")
    with made_whole(tmp_path / "made") as part:
        part.write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "made")}
    assert len(modes) == 1


def test_a_folder_replaces_the_one_before_as_a_whole(tmp_path):
    path = tmp_path / "hls"
    path.mkdir()
    (path / "old").touch()
    with made_whole(path) as part:
        part.mkdir()
        (part / "new").touch()
    assert [entry.name for entry in path.iterdir()] == ["new"]
    assert [path] == list(tmp_path.iterdir())


def _make_half(path, error):
    with made_whole(path) as part:
        part.write_text("half")
        raise error


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_was_there_stays_if_making_it_fails(tmp_path, error):
    path = tmp_path / "network.npz"
    path.write_text("old")
    with pytest.raises(error):
        _make_half(path, error)
    assert path.read_text() == "old"
    assert [path] == list(tmp_path.iterdir())


def test_two_that_make_the_same_do_not_meet(tmp_path):
    path = tmp_path / "seeds.json"
    with made_whole(path) as one, made_whole(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # finished last


def test_only_what_is_old_is_cleared(tmp_path):
    for name in (".part-old", ".part-new", "hls"):
        (tmp_path / name).mkdir()
    past = (tmp_path / "hls").stat().st_mtime - STALE_S - 1
    for name in (".part-old", "hls"):
        os.utime(tmp_path / name, (past, past))
    clear_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-new", "hls"]


def test_what_a_killed_process_left_is_cleared_at_once(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from fpgaml.whole import made_whole\n"
        "with made_whole(Path(sys.argv[1]) / 'hls') as part:\n"
        "    part.mkdir(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with made_whole(tmp_path / "csim") as part:
        clear_unfinished(tmp_path)
        assert [path for path in tmp_path.iterdir()] == [part.parent]
        part.write_text("")
    assert [path.name for path in tmp_path.iterdir()] == ["csim"]
