"""From what a card asks for to what is built: the network with its outputs, and the design."""

from __future__ import annotations

from fpgaml.card.runcard import RunCard
from fpgaml.ir.network import Network
from fpgaml.target.design import Design
from fpgaml.target.output_head import head_design, with_head


def as_built(card: RunCard, network: Network) -> tuple[Network, Design]:
    """Return the network that becomes hardware, with the outputs that `card.design.output` asks for, and its design.

    Raises: ConfigError if these outputs cannot be.
    """
    head = card.design.output
    return with_head(network, head), head_design(card.design.resolve(), head)
