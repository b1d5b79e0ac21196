"""Latency and resources before synthesis, with honest error bars.

facts.py        what a layer is, as far as cost goes      adapter.py      ... from a Network and a Design
formulas.py     what a layer costs                        compose.py      what a design has beyond its layers
model.py        coefficients and median estimates         residuals.py    errors, ranges, error tables
estimator.py    estimate(), utilisation()                 proposals.py    fit(): reuse factors that fit
walls.py        what HLS never finishes                   tables.py       tables for a terminal

laboratory/     where the coefficients come from: groundtruth.py (rows of real reports), regression.py (the robust fit),
                calibrate.py (refit and cross-validate), validate.py (judge on anyone's reports)
"""

from fpgaml.estimate.estimator import (
    Estimate,
    EstimateStage,
    FitVerdict,
    FloatComparison,
    LayerEstimate,
    Use,
    Utilisation,
    compare_with_float,
    estimate,
    utilisation,
)
from fpgaml.estimate.proposals import Proposal, fit
from fpgaml.estimate.walls import Wall

__all__ = [
    "Estimate",
    "EstimateStage",
    "FitVerdict",
    "FloatComparison",
    "LayerEstimate",
    "Proposal",
    "Use",
    "Utilisation",
    "Wall",
    "compare_with_float",
    "estimate",
    "fit",
    "utilisation",
]
