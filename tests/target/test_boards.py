import pytest

from fpgaml.errors import ConfigError
from fpgaml.target.boards import BOARDS_VARIABLE, catalogue, find_board, find_part


def test_pynq_z2():
    board = find_board("PYNQ Z2")
    part = board.part
    assert (board.name, board.part_number) == ("pynq-z2", "xc7z020clg400-1")
    assert (part.lut, part.ff, part.dsp, part.bram18, part.uram) == (53200, 106400, 220, 280, 0)


def test_every_board_of_the_catalogue_is_complete():
    known = catalogue()
    wanted = """pynq-z1 pynq-z2 zedboard zybo-z7-10 zybo-z7-20 arty-a7-35 arty-a7-100 basys-3 ultra96-v2 aup-zu3
        hyperfpga-4eg
        zcu102 zcu104 kv260 alveo-u50 alveo-u200 alveo-u250 vu9p vu13p""".split()
    assert set(wanted) <= set(known.boards)
    for board in known.boards.values():
        assert known.part(board.part_number) is board.part
        assert board.source
        assert board.part.source
        assert board.part.ff == 2 * board.part.lut  # two flip-flops a LUT in all these families


@pytest.mark.parametrize(
    ("number", "device"),
    [
        ("xc7z020-clg484-1", "xc7z020"),
        ("xc7a35ticsg324-1L", "xc7a35t"),
        ("XCVU13P-flga2577-2-e", "xcvu13p"),
        ("xczu3eg-sbva484-1-i", "xczu3eg"),
    ],
)
def test_find_part(number, device):
    assert find_part(number).device == device


def test_unknown_names():
    with pytest.raises(ConfigError) as caught:
        find_board("pink-z2")
    assert str(caught.value) == (
        "unknown board 'pink-z2': `fpgaml boards` lists the known ones, and --boards-file can add one; "
        "did you mean 'pynq-z2'?"
    )
    with pytest.raises(ConfigError) as caught:
        find_part("xc7z02")
    assert str(caught.value) == (
        "unknown part 'xc7z02': `fpgaml boards` lists the known ones, and --boards-file can add it; "
        "did you mean 'xc7z020'?"
    )


MINE = """
[parts.xcau7p]
family = "artixuplus"
lut = 37440
ff = 74880
dsp = 216
bram18 = 216
uram = 0
source = "DS890"

[boards.mine]
title = "My board"
part_number = "xcau7p-sbvc484-1-e"
clock_ns = 8
source = "its schematic"
"""


def test_own_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    assert find_board("mine", path).part.dsp == 216
    assert find_part("xcau7p-sbvc484-1-e", path).lut == 37440
    assert find_board("pynq-z2", path).part.lut == 53200


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsp = 216", "", "part 'xcau7p' must give 'dsp'"),
        ("dsp = 216", "dsp = -1", "part 'xcau7p': dsp must be 0 or more, not -1"),
        ("dsp = 216", "dsp = 216.5", "part 'xcau7p': dsp must be int, not 216.5"),
        ("dsp = 216", "dsp = 216\ndps = 3", "part 'xcau7p' has the unknown key 'dps'; did you mean 'dsp'?"),
        ("clock_ns = 8", "clock_ns = 0", "board 'mine': clock_ns must be above 0, not 0"),
        ("[boards.mine]", "[board.mine]", "table 'board' must be 'parts' or 'boards'"),
    ],
)
def test_own_file_refused(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        catalogue(path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_file_of_the_users_own_counts_everywhere(tmp_path, monkeypatch):
    (tmp_path / "fpgaml").mkdir()
    own = tmp_path / "fpgaml" / "boards.toml"
    own.write_text(MINE)
    name = next(iter(set(catalogue(own).boards) - set(catalogue().boards)))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert find_board(name).part.device == "xcau7p"
    monkeypatch.setenv(BOARDS_VARIABLE, str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError) as caught:
        find_board(name)
    assert str(caught.value) == (
        f"{tmp_path / 'none.toml'} must be a readable TOML file of boards: No such file or directory"
    )
