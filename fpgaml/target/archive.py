"""A project as one zip: complete, and the same bytes whoever makes it, whenever and wherever.

    export(project, name, target, also={"card.toml": path})     -> what went in

Names are sorted, times and permissions fixed, nothing that a tool left behind goes in. Unzipped on another machine its
test bench compiles with plain g++ and passes (`make test`): all headers it needs are inside.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from fpgaml.errors import FormatError
from fpgaml.whole import made_whole

TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip can say
MODE = 0o100644 << 16  # a plain file, readable by all
LEVEL = 9
LEFT_BEHIND = ("build", ".Xil", "logs")  # folders that compilers and tools make
NEEDED = ("{name}_test.cpp", "golden.h", "project.tcl", "run_hls.tcl", "README.md", "firmware/{name}.cpp", "tb_data")


def export(project: Path, name: str, target: Path, also: Mapping[str, Path] | None = None) -> list[str]:
    """Write the project of network `name` into the zip `target`; return the names in it. `also`: more files, by name.

    Raises: FormatError if the project is not complete.
    """
    missing = [need for part in NEEDED if not (project / (need := part.format(name=name))).exists()]
    if missing:
        raise FormatError(f"{project} is not a complete project of network {name!r}: it has no {missing[0]}")
    files = {f"{name}/{path.relative_to(project).as_posix()}": path for path in sources(project)}
    files |= {f"{name}/{inside}": path for inside, path in (also or {}).items()}
    with (
        made_whole(target) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive,
    ):
        for inside in sorted(files):
            _add(archive, inside, files[inside])
    return sorted(files)


def sources(project: Path) -> list[Path]:
    """Return every file of a project but what tools left behind: HLS and Vivado projects, builds, logs, journals."""
    found = []
    for path in project.rglob("*"):
        folders = path.relative_to(project).parts[:-1]
        left = any(part in LEFT_BEHIND or part.endswith(("_prj", "_hls", "_board")) for part in folders)
        if path.is_file() and not left and path.suffix not in (".log", ".jou", ".str"):
            found.append(path)
    return found


def _add(archive: zipfile.ZipFile, inside: str, path: Path) -> None:
    entry = zipfile.ZipInfo(inside, TIME)
    entry.create_system = 3  # Unix, wherever this runs
    entry.external_attr = MODE
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, path.read_bytes(), compresslevel=LEVEL)
