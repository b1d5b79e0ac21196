"""What a person sees of a proof: the sentence, a line a layer, what is trusted."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from fpgaml.cli.console import shown
from fpgaml.exact.certificate import OUTSIDE, TRUSTED, Certificate
from fpgaml.exact.prove import Verdict
from fpgaml.flow.certified import Certified


def show_proof(console: Console, found: Certified) -> None:
    """Print a certificate: first the sentence, then each layer, then what it rests on."""
    made = found.certificate
    console.print(f"[dim]{shown(found.origin)}[/]", soft_wrap=True)
    color = "green" if made.proved else "yellow"
    console.print(f"[{color}]{shown(made.sentence)}[/]\n", soft_wrap=True)
    console.print(_layers(made))
    console.print(f"\ntrusted: {'; '.join(TRUSTED)}", soft_wrap=True)
    console.print(f"outside: {'; '.join(OUTSIDE)}", soft_wrap=True)
    time = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in made.seconds.items())
    console.print(f"time: {time}; {made.counts.get('assignments', 0):,} assignments checked", soft_wrap=True)
    if found.file is not None:
        console.print(f"certificate: {shown(found.file)}", soft_wrap=True)


def _layers(made: Certificate) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "kind", "argument", "what it covers"):
        table.add_column(heading)
    table.add_column("time (s)", justify="right")
    for verdict in made.verdicts:
        table.add_row(
            shown(verdict.layer) or "(output)",
            verdict.kind,
            str(verdict.method),
            shown(_covered(verdict)),
            f"{verdict.seconds:.2f}",
        )
    return table


def _covered(verdict: Verdict) -> str:
    return verdict.covers if verdict.proved else f"{verdict.reason} {verdict.place}".rstrip()
