"""The commands about learning: `fpgaml trials`, `search` and `tradeoff`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.status import Status
from rich.table import Table

from fpgaml.cli.console import (
    Card,
    Commands,
    DataOption,
    JsonOption,
    LabelOption,
    RunsFolder,
    TestOption,
    base_of,
    given,
    out,
    print_json,
    shown,
    wide,
)
from fpgaml.errors import BitMismatch, ConfigError, FormatError
from fpgaml.quoting import markdown, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fpgaml.card.runcard import RunCard
    from fpgaml.datasets.dataset import Dataset
    from fpgaml.exact.history import Epoch
    from fpgaml.ir.fixed import Floats
    from fpgaml.ir.network import Network
    from fpgaml.report.tradeoff import Gathered
    from fpgaml.runs.workspace import Workspace

TABLE_WIDTH = 120  # of all runs; a narrower terminal wraps its lines


def trials(
    card: Card,
    folds: Annotated[int | None, typer.Option("--folds", help="Cross-validation with 2 to 10 folds.")] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", help="Repeat with this many seeds, from the card's.")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Also convert each, C-simulate all test images, and count unlike logits.")
    ] = False,
    output: RunsFolder = None,
    data: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train several times: mean and spread of the accuracy, in float and in hardware. What is done is kept."""
    from fpgaml.backend import cpp
    from fpgaml.card.toml import load_card
    from fpgaml.datasets.sources import with_data
    from fpgaml.flow.steps import check_teacher
    from fpgaml.report import classification
    from fpgaml.runs.workspace import Workspace

    if (folds is None) == (seeds is None):
        raise ConfigError("trials must have either --folds or --seeds")
    if seeds is not None and seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, not {seeds}")
    if folds is not None and not 2 <= folds <= 10:
        raise ConfigError(f"--folds must be 2 to 10, not {folds}")
    read = with_data(load_card(card), given(data, label, test))
    check_teacher(read)
    first = read.training.seed
    numbers = range(first, first + (seeds or 0))
    workspace = Workspace.open(read, base_of(card, output))
    what = "fold" if folds else "seed"
    with _quiet(workspace, what), out.status("reading the data") as status:
        from fpgaml.training import trials as repeated

        kept = _kept(workspace, f"{what}s.json", read, folds or 0)
        every = [repeated.Trial(**record) for record in kept["trials"]]
        done = {one.name: one for one in every if not simulate or one.unlike is not None}
        samples = workspace.data
        design, project = read.design.resolve(), workspace / f"{what}_hls"

        def check(network: Network, part: Dataset, logits: Floats | None) -> int:
            return cpp.mismatches(network, design, part.x_test, logits, project)

        how: dict[str, Any] = {"skip": done, "progress": _told(status), "check": check if simulate else None}
        if folds:
            new = repeated.cross_validate(read, samples, folds, **how)
        else:
            new = repeated.repeat(read, samples, numbers, **how)
        for trial in new:
            done[trial.name] = trial
            kept["trials"] = [vars(one) for one in done.values()]
            _write(workspace, f"{what}s.json", json.dumps(kept, indent=1))
    chosen = [one for one in done.values() if folds or int(one.name.split()[1]) in numbers]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (what, "float", "hardware", "weights", "bits", *(["unlike logits"] if simulate else [])):
        table.add_column(heading, justify="left" if heading == what else "right")
    for one in chosen:
        table.add_row(
            one.name,
            f"{one.float_accuracy:.2%}",
            f"{one.hardware_accuracy:.2%}",
            f"{one.nonzero:,}",
            f"{one.weight_bits:,}",
            *([f"{one.unlike:,}"] if simulate else []),
        )
    spread = repeated.summarize(chosen)
    table.add_row("mean", str(spread["float"]), str(spread["hardware"]), style="bold")
    if not as_json:
        out.print(table)
    columns = {
        "float": [one.float_accuracy for one in chosen],
        "hardware": [one.hardware_accuracy for one in chosen],
    }
    figure = _draw(workspace, f"{what}s", classification.spread(columns, what)[0])
    if as_json:
        summary = {name: vars(one) for name, one in spread.items()}
        print_json({"trials": [vars(one) for one in chosen], "mean": summary, "figure": str(figure)})
    else:
        out.print(f"figure: {shown(figure)}", soft_wrap=True)
    wrong = sum(one.unlike or 0 for one in chosen)
    if simulate and wrong:
        raise BitMismatch(f"{wrong:,} logits differ between QKeras, emulator and C simulation; fpgaml run says where")


def search(
    card: Card,
    minutes: Annotated[float, typer.Option("--minutes", help="Stop training new points after this time.")] = 60.0,
    points: Annotated[int, typer.Option("--points", help="Train so many points at most.")] = 24,
    output: RunsFolder = None,
    data: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose bits per layer and sparsity: a front of accuracy against cost, each point a run card. Resumable."""
    from fpgaml.card.toml import load_card
    from fpgaml.cli.show_run import StepLines
    from fpgaml.datasets.sources import with_data
    from fpgaml.flow import steps
    from fpgaml.report import classification

    read = with_data(load_card(card), given(data, label, test))
    with StepLines(out, quiet=as_json) as listener:
        workspace = steps.run(read, base=base_of(card, output), last="train", listener=listener)
    with _quiet(workspace, "search"), out.status("search") as status:
        from fpgaml.frontend import store
        from fpgaml.training.search import search as find

        samples, model = workspace.data, store.load(workspace / "float.keras")

        def say(text: str) -> None:
            if not as_json:
                out.print(shown(text), soft_wrap=True)
            status.update("training the next point")

        found = find(read, model, samples, workspace / "search", minutes=minutes, points=points, progress=say)
    drawn = [{"group": "searched", "accuracy": p.accuracy, "weight_bits": p.weight_bits} for p in found.points]
    figure = _draw(workspace, "search", classification.trade_off(drawn)[0])
    if as_json:
        from fpgaml.precision.profile import plain

        front = [plain(point) for point in found.front]
        print_json({"front": front, "cards": str(workspace / "search"), "figure": str(figure)})
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title="Pareto front, cheapest first")
    for heading in ("card", "accuracy", "weights", "bits of weights"):
        table.add_column(heading, justify="left" if heading == "card" else "right")
    for point in found.front:
        table.add_row(f"{point.name}.toml", f"{point.accuracy:.2%}", f"{point.nonzero:,}", f"{point.weight_bits:,}")
    out.print(table)
    out.print(f"figure: {shown(figure)}", soft_wrap=True)
    out.print(f"cards: {shown(workspace / 'search')}", soft_wrap=True)


def _trade_off_page(found: Gathered, figure: Path, caption: str, path: Path) -> None:
    """Write the trade-off as a page."""
    from fpgaml.report.overview import save_page, table
    from fpgaml.report.page import Fact

    rows = [
        (*map(markdown, (one.run, one.group, one.data)), f"{100 * one.accuracy:.2f}", f"{one.weight_bits:,}",
         "yes" if one in found.front else "")
        for one in found.points
    ]  # fmt: skip
    heads = ("run", "group", "data", "accuracy (%)", "bits of weights", "front")
    lines = ["# trade-off", "", "## Accuracy against bits", "", *table(heads, rows)]
    lines += [
        "",
        f"![Accuracy against bits](<{figure.name}>)",
        "",
        markdown(caption),
        *(line for one in found.left_out for line in ("", f"left out: {markdown(one)}")),
    ]
    on_front = str(len(set(found.front)))
    facts = [Fact("points", str(len(rows)), "runs, trials and searches"), Fact("on the front", on_front, "of these")]
    save_page(path, "Accuracy against bits of weights", facts, "\n".join(lines), figure.parent)


def tradeoff(
    folder: Annotated[Path, typer.Argument(help="Folder of runs", metavar="RUNS_FOLDER")] = Path("hls_projects"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The figure: .png, with .svg and .json beside it.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="Write it as a page too.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Show accuracy against bits of weights, over all runs, trials and searches: a table and one figure."""
    from fpgaml.report import classification, figures
    from fpgaml.report import tradeoff as gathering

    found = gathering.gather(folder)
    front = set(found.front)
    figure, caption = classification.trade_off(gathering.marks(found.points))
    path = figures.save_beside(figure, output or folder / "tradeoff.png", gathering.to_json(found))
    if page is not None:
        _trade_off_page(found, path, caption, page)
    if as_json:
        print_json(json.loads(gathering.to_json(found)) | {"figure": str(path)})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    several = len({point.data for point in found.points}) > 1
    for heading in ("group", "run", *(["data"] if several else []), "of"):
        table.add_column(heading, no_wrap=True)
    for heading in ("accuracy", "non-zero weights", "bits of weights", "front"):
        table.add_column(heading, justify="right")
    for point in found.points:
        table.add_row(
            point.group,
            shown(point.run),
            *([shown(point.data)] if several else []),
            point.of or "one training",
            f"{point.accuracy:.2%}",
            f"{point.nonzero:,}",
            f"{point.weight_bits:,}",
            "yes" if point in front else "",
        )
    wide(TABLE_WIDTH).print(table)
    for line in found.left_out:
        out.print(f"left out: {printable(line)}", soft_wrap=True, markup=False)
    out.print(f"\n{caption}\nfigure: {path}", soft_wrap=True, markup=False)


def _kept(workspace: Workspace, name: str, card: RunCard, folds: int) -> dict[str, Any]:
    """Return the trials of an earlier call, if they were of the same card and folds."""
    from fpgaml.card.changes import trained_as
    from fpgaml.card.runcard import TRAINED

    own: dict[str, Any] = {"card": card.model_dump(mode="json", include=set(TRAINED)), "folds": folds, "trials": []}
    path = workspace / name
    if path.is_file():
        try:
            record = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise FormatError(
                f"{path} must hold the trials of an earlier call: {error}; remove it to start anew"
            ) from error
        if trained_as(card, record.get("card")) and record.get("folds") == folds and "trials" in record:
            return record
    return own


def _told(status: Status) -> Callable[[str, str, Epoch], None]:
    def tell(trial: str, stage: str, epoch: Epoch) -> None:
        shown = epoch.accuracy if epoch.val_accuracy is None else epoch.val_accuracy
        status.update(f"{trial}, {stage}: epoch {epoch.number} of {epoch.of}, accuracy {shown:.2%}")

    return tell


def _write(workspace: Workspace, name: str, text: str) -> None:
    workspace.write(name, lambda path: path.write_text(text, encoding="utf-8"))


def _draw(workspace: Workspace, name: str, figure: Figure) -> Path:
    from fpgaml.report.figures import save

    save(figure, workspace, name)
    return workspace / "figures" / f"{name}.png"


@contextmanager
def _quiet(workspace: Workspace, name: str) -> Iterator[None]:
    from fpgaml.target.noise import keras_noise

    with keras_noise(workspace.log(name)):
        yield


COMMANDS = Commands("Precision", {"trials": trials, "search": search, "tradeoff": tradeoff})
