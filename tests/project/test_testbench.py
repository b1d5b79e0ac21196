"""The test bench passes on right C++ and fails on one wrong bit, wherever it is."""

import re

import pytest

from fpgaml.errors import BitMismatch, DataError, FormatError
from fpgaml.project.testbench import WeightFiles, run_testbench, write_testbench
from tests.conftest import PROJECTS

PASS = "PASS: 6 images, every code equal bit for bit"


def flip_one_bit(path):
    """Add one unit of the last place (2**-5) to the first weight of a file."""
    text = path.read_text(encoding="utf-8")
    first = re.search(r"-?\d+\.\d+(?=[,}])", text)
    value = float(first[0])
    path.write_text(text[: first.start()] + f"{value + 0.03125:.5f}" + text[first.end() :], encoding="utf-8")


@pytest.mark.parametrize(("backend", "io_type"), PROJECTS)
def test_right_project_passes(converted, tmp_path, backend, io_type):
    assert run_testbench(converted(backend, io_type), "tiny", log=tmp_path / "log", trace=True) == PASS


@pytest.mark.parametrize(("backend", "io_type"), PROJECTS)
def test_right_project_passes_with_the_weights_of_synthesis(converted, tmp_path, backend, io_type):
    found = run_testbench(converted(backend, io_type), "tiny", log=tmp_path / "log", weights=WeightFiles.HEADER)
    assert found == PASS


def test_one_bit_in_a_weight_fails(project, tmp_path):
    flip_one_bit(project / "firmware" / "weights" / "w6.txt")
    with pytest.raises(BitMismatch, match=r"first difference: image 0, layer logits, value 0 \(channel 0\): "):
        run_testbench(project, "tiny", log=tmp_path / "log")


def test_traced_build_names_the_first_wrong_layer(project, tmp_path):
    flip_one_bit(project / "firmware" / "weights" / "w2.txt")
    with pytest.raises(BitMismatch, match=r"first difference: image 1, layer c1, value 0 \(channel 0\): the"):
        run_testbench(project, "tiny", log=tmp_path / "log", trace=True)


def test_one_bit_in_a_weight_of_synthesis_fails_only_there(project, tmp_path):
    flip_one_bit(project / "firmware" / "weights" / "w6.h")
    assert run_testbench(project, "tiny", log=tmp_path / "log") == PASS
    with pytest.raises(BitMismatch, match="layer logits"):
        run_testbench(project, "tiny", log=tmp_path / "log", weights=WeightFiles.HEADER)


def test_one_changed_golden_code_fails(project, tmp_path):
    logits = project / "tb_data" / "logits.dat"
    lines = logits.read_text(encoding="ascii").splitlines()
    codes = lines[3].split()
    lines[3] = " ".join([codes[0], str(int(codes[1]) + 1), codes[2]])
    logits.write_text("\n".join(lines) + "\n", encoding="ascii")
    message = (
        rf"first difference: image 2, layer logits, value 1 \(channel 1\): the C\+\+ gives code {codes[1]}, "
        rf"the golden vector {int(codes[1]) + 1}; 1 codes differ over 6 images"
    )
    with pytest.raises(BitMismatch, match=message):
        run_testbench(project, "tiny", log=tmp_path / "log")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "logits.dat is in none of"),
        (lambda path: path.write_text("fpgaml logits 6 3\n1 2 3\n"), "logits.dat is cut: it ends at code 3 of 18"),
        (lambda path: path.write_text(path.read_text()[:-4]), "logits.dat is cut: it has no 'end'"),
        (lambda path: path.write_text("fpgaml logits 6 4\n"), "logits.dat must begin with 'fpgaml logits IMAGES 3'"),
        (lambda path: path.write_text("fpgaml logits 1 3\n1 2 3\nend\n"), "must have the same number of images"),
    ],
)
def test_missing_or_cut_data_fails(project, tmp_path, damage, message):
    damage(project / "tb_data" / "logits.dat")
    with pytest.raises(DataError, match=message):
        run_testbench(project, "tiny", log=tmp_path / "log")


def test_works_in_a_folder_with_spaces_and_umlauts(project, tmp_path):
    place = tmp_path / "mein schöner Ordner"
    project.rename(place)
    assert run_testbench(place, "tiny", log=tmp_path / "log") == PASS


def test_refusals(project, tiny, tiny_codes, tmp_path):
    with pytest.raises(DataError, match="a test bench must have at least one image"):
        write_testbench(tiny, project, tiny_codes[:0])
    with pytest.raises(FormatError, match=r"is not the HLS project of network 'tiny': it has no firmware/tiny\.cpp"):
        write_testbench(tiny, tmp_path, tiny_codes)
    with pytest.raises(FormatError, match=r"has no test bench other_test\.cpp"):
        run_testbench(project, "other", log=tmp_path / "log")
