"""A Network as a file: what is saved is what is read, and damaged files are refused."""

import pytest

from fpgaml.errors import FormatError
from fpgaml.ir.saving import load, save
from tests.networks import cnn, mlp


@pytest.mark.parametrize("made", [mlp(), cnn()])
def test_load_is_the_inverse_of_save(made, tmp_path):
    save(made, tmp_path / "n.npz")
    found = load(tmp_path / "n.npz")
    assert found == made
    assert found.digest == made.digest
    save(found, tmp_path / "again.npz")
    assert (tmp_path / "n.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()


@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\x03\x04 cut off"])
def test_damaged_files_are_refused(content, tmp_path):
    path = tmp_path / "n.npz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"n\.npz is not a network that fpgaml saved"):
        load(path)
