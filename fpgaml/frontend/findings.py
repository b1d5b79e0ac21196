"""What can go wrong between a model and its hardware: a code for each trap, and what each tool makes of it.

    Finding(code, layer, found)     one trap at one place; severity and advice come from `RULES`
    finding.severity                info: handled, nothing to do; warning: look at it; error: it cannot be converted

`fpgaml` says what fpgaml does, `hls4ml` what hls4ml 1.3 does with its defaults, `mend` what to change in the model.
An error is whatever the reader refuses, in its own words; the rest is seen in a model that can be read.

Source: each statement on hls4ml was measured, on hls4ml 1.3.0 with qkeras-v3 1.2.1; fpgaml's are held by its tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Code(StrEnum):
    """The stable name of a trap."""

    UNREADABLE_FILE = "unreadable-file"
    UNSUPPORTED_GRAPH = "unsupported-graph"
    UNSUPPORTED_LAYER = "unsupported-layer"
    PYTHON_CODE = "python-code"
    FLOAT_WEIGHTS = "float-weights"
    BAD_WEIGHTS = "bad-weights"
    DESIGN = "design"
    INPUT_TYPE = "input-type"
    FLOAT32_LIMIT = "float32-limit"
    NAME_LIES = "name-lies"
    RENAMED = "renamed"
    ROUNDED_TO_A_GRID = "rounded-to-a-grid"
    SCALE_BITS = "scale-bits"
    CHANGED_ON_READING = "changed-on-reading"
    LEFT_OUT = "left-out"
    SOFTMAX_LEFT_OUT = "softmax-left-out"
    SIGMOID_LEFT_OUT = "sigmoid-left-out"
    SOFTMAX_TABLE = "softmax-table"
    ALPHA_AUTO_PO2 = "alpha-auto-po2"
    ALPHA_AUTO = "alpha-auto"
    ALPHA_NUMBER = "alpha-number"
    UNSIGNED_WEIGHTS = "unsigned-weights"
    ONE_BIT_WEIGHTS = "one-bit-weights"
    BINARY_WEIGHTS = "binary-weights"
    TERNARY_WEIGHTS = "ternary-weights"
    PO2_WEIGHTS = "po2-weights"
    FLOAT_BIAS = "float-bias"
    DELETED_REQUANTIZER = "deleted-requantizer"
    SYMMETRIC = "symmetric"
    UNSIGNED_LINEAR = "unsigned-linear"
    NO_FRACTION_BITS = "no-fraction-bits"
    NEGATIVE_SLOPE = "negative-slope"
    USE_SIGMOID = "use-sigmoid"
    QUANTIZED_CLIP = "quantized-clip"
    STOCHASTIC = "stochastic"
    PO2_ACTIVATION = "po2-activation"
    FLOAT_ACTIVATION = "float-activation"
    MEAN = "mean"
    MEAN_NOT_POWER_OF_TWO = "mean-not-power-of-two"
    GLOBAL_MEAN = "global-mean"
    BATCH_NORMALIZATION = "batch-normalization"
    QUANTIZED_BATCH_NORMALIZATION = "quantized-batch-normalization"


@dataclass(frozen=True)
class Rule:
    """What is always true of a trap."""

    severity: Severity
    fpgaml: str
    hls4ml: str
    mend: str


@dataclass(frozen=True)
class Finding:
    """One trap at one layer (empty for the whole model): what was found, what becomes of it, how to mend it."""

    code: Code
    severity: Severity
    layer: str
    found: str
    fpgaml: str
    hls4ml: str
    mend: str

    def refused(self, reason: str) -> Finding:
        """Return this finding as the error that stops the conversion, in the reader's words."""
        return replace(self, severity=Severity.ERROR, found=reason, fpgaml="refuses it")


def finding(code: Code, layer: str, found: str) -> Finding:
    """Return a finding with what `RULES` says of its code."""
    rule = RULES[code]
    return Finding(code, rule.severity, layer, found, rule.fpgaml, rule.hls4ml, rule.mend)


_INFO, _WARN, _ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR
_EXACT = "evaluates it as QKeras does and stores the values exactly"

RULES: dict[Code, Rule] = {
    Code.UNREADABLE_FILE: Rule(_ERROR, "refuses it", "fails while loading", "save the model again with model.save"),
    Code.UNSUPPORTED_GRAPH: Rule(
        _ERROR, "refuses it", "depends on the case", "one input, one output, no layer used twice, no model in a model"
    ),
    Code.UNSUPPORTED_LAYER: Rule(
        _ERROR, "refuses it", "may take it, with types it guesses", "use a supported layer or quantizer instead"
    ),
    Code.PYTHON_CODE: Rule(
        _ERROR,
        "refuses it; Python code in a file is never run",
        "has no handler for it",
        "replace the Lambda or custom class by built-in layers",
    ),
    Code.FLOAT_WEIGHTS: Rule(
        _ERROR,
        "refuses it: there is no grid to be exact on",
        "cuts the weights off to fixed<16,6>, silently",
        "quantize it in training (QKeras), or afterwards: fpgaml quantize MODEL --data ...",
    ),
    Code.BAD_WEIGHTS: Rule(_ERROR, "refuses it", "writes them to the C++ as they are", "train the model again"),
    Code.DESIGN: Rule(_ERROR, "refuses to convert it so", "depends on the case", "see the message"),
    Code.INPUT_TYPE: Rule(
        _INFO,
        "takes the input as codes of this type; all else is exact with respect to them",
        "reads the input as fixed<16,6>: an input finer than 1/1024, such as pixel/255, is cut off",
        "say --input-type if it is another; train with inputs on that grid (pixel/256, not pixel/255)",
    ),
    Code.FLOAT32_LIMIT: Rule(
        _WARN,
        "computes it exactly; the emulator, not Keras, is the reference",
        "its sums may be exact too, and then differ from Keras",
        "nothing; with fewer bits in weights or input Keras would be exact too",
    ),
    Code.NAME_LIES: Rule(
        _WARN, "goes by what the layer computes", "goes by what the layer computes", "rename the layer"
    ),
    Code.RENAMED: Rule(
        _INFO, "gives it a name that C++ allows", "writes the name as it is: g++ fails", "nothing, or rename the layer"
    ),
    Code.ROUNDED_TO_A_GRID: Rule(
        _WARN,
        "states the type it rounds to, and is exact from there on; Keras computes something close",
        "rounds to types it guesses, silently",
        "where Keras must be the reference, use what is on a grid: the quantized layer or activation",
    ),
    Code.SCALE_BITS: Rule(
        _INFO,
        "takes the fewest bits for which nothing differs on the data, and says what that costs",
        "rounds to fixed<16,6>",
        "nothing; --scale-bits takes another number",
    ),
    Code.CHANGED_ON_READING: Rule(_INFO, "reads it in another form that computes the same", "may refuse it", "nothing"),
    Code.LEFT_OUT: Rule(_INFO, "leaves it out: it does nothing at inference", "leaves it out", "nothing"),
    Code.SOFTMAX_LEFT_OUT: Rule(
        _INFO,
        "ends at the logits: the largest logit is the class, with or without softmax",
        "builds it from two tables of 1,024 entries",
        "nothing; read logits, not probabilities",
    ),
    Code.SIGMOID_LEFT_OUT: Rule(
        _INFO,
        "ends at the logits: above 0 is class 1, with or without sigmoid",
        "looks it up in 1,024 entries: next to no output is equal to Keras'",
        "nothing; compare the logit with 0",
    ),
    Code.SOFTMAX_TABLE: Rule(
        _INFO,
        "leaves the softmax out",
        "indexes its table with the top 10 bits of the logits: close logits look equal, and the class can change",
        "in hls4ml: leave the softmax out (Skip), or Implementation 'argmax'",
    ),
    Code.ALPHA_AUTO_PO2: Rule(
        _INFO,
        _EXACT,
        "adds a scaling layer of type fixed<16,6>, which cuts values off; on numpy 2 it crashes",
        "say alpha=1",
    ),
    Code.ALPHA_AUTO: Rule(
        _WARN,
        "is exact only with scale times weight rounded to a stated grid; else refuses it, or has very wide weights",
        "adds a scaling layer of type fixed<16,6>: next to no output is equal to Keras'",
        "train with alpha=1, or alpha='auto_po2', whose scale is on a grid",
    ),
    Code.ALPHA_NUMBER: Rule(_INFO, _EXACT, "on Keras 3 the scale gets lost: the classes are wrong", "say alpha=1"),
    Code.UNSIGNED_WEIGHTS: Rule(
        _INFO,
        _EXACT,
        "takes them for signed and loses the last bit; a type in its configuration is ignored",
        "leave keep_negative=True",
    ),
    Code.ONE_BIT_WEIGHTS: Rule(
        _INFO,
        _EXACT,
        "stores them in a type too small for them: every output is wrong",
        "2 bits, or binary(alpha=1)",
    ),
    Code.BINARY_WEIGHTS: Rule(
        _INFO,
        _EXACT,
        "adds in fixed<16,6>, takes products for XNORs: most outputs are wrong",
        "ternary(alpha=1)",
    ),
    Code.TERNARY_WEIGHTS: Rule(_INFO, _EXACT, "exact with alpha=1; else scales in fixed<16,6>", "say alpha=1"),
    Code.PO2_WEIGHTS: Rule(
        _INFO, _EXACT, "adds in fixed<16,6>: next to no output is equal", "quantized_bits with alpha=1"
    ),
    Code.FLOAT_BIAS: Rule(
        _WARN,
        "keeps the float bias exactly, which can make the accumulator wide",
        "cuts the bias off to fixed<16,6>: next to no output is equal to Keras'",
        "give the layer a bias_quantizer",
    ),
    Code.DELETED_REQUANTIZER: Rule(
        _INFO,
        "rounds and saturates there, as QKeras does",
        "deletes the layer (merge_linear_activation): nothing is rounded there",
        "nothing; in hls4ml remove that pass from the flow 'convert'",
    ),
    Code.SYMMETRIC: Rule(
        _INFO, "saturates at the same size on both sides (SAT_SYM)", "ignores it: the lowest code can appear", "nothing"
    ),
    Code.UNSIGNED_LINEAR: Rule(
        _INFO, "makes the type unsigned", "ignores keep_negative=False: values keep their sign", "use quantized_relu"
    ),
    Code.NO_FRACTION_BITS: Rule(
        _INFO,
        "rounds to nearest and saturates at this width, as QKeras does",
        "writes a plain integer type, which truncates and wraps, of another width if integer > bits",
        "nothing; or give it a fraction bit",
    ),
    Code.NEGATIVE_SLOPE: Rule(
        _INFO,
        "clips the negative side where QKeras does",
        "clips it elsewhere: exact only while the negative side does not saturate",
        "nothing",
    ),
    Code.USE_SIGMOID: Rule(
        _WARN,
        "refuses what it cannot make exact",
        "takes it for a plain ReLU, without a word",
        "leave use_sigmoid=0: the third argument of quantized_relu is no sign flag",
    ),
    Code.QUANTIZED_CLIP: Rule(
        _WARN,
        "refuses it",
        "ignores it",
        "leave is_quantized_clip=True: QKeras does not save it, so a loaded model differs from the trained one",
    ),
    Code.STOCHASTIC: Rule(
        _WARN,
        "takes what the quantizer does at inference",
        "ignores it",
        "nothing if it rounds to nearest at inference; the simulation shows whether Keras agrees",
    ),
    Code.PO2_ACTIVATION: Rule(
        _WARN, "builds it as a table or refuses it", "raises 'Unsupported QKeras activation'", "quantized_relu"
    ),
    Code.FLOAT_ACTIVATION: Rule(
        _INFO,
        "takes as many bits as its result can need: exact, but the next layer's input is wide",
        "cuts the result off to fixed<16,6>",
        "QActivation('quantized_relu(...)'): fewer bits, a smaller design",
    ),
    Code.MEAN: Rule(
        _INFO,
        "divides by a power of two exactly, with the bits that needs",
        "gives the result the type of the input: the last bits are lost",
        "nothing",
    ),
    Code.MEAN_NOT_POWER_OF_TWO: Rule(
        _INFO,
        "rounds the true mean once, to the quantizer that follows",
        "cuts the quotient off, then rounds again",
        "a window of 2, 4 or 8 values has an exact mean",
    ),
    Code.GLOBAL_MEAN: Rule(
        _INFO,
        "sums in a type that holds every sum",
        "sums in fixed<16,6>, which overflows: the class can be wrong for most images",
        "nothing; in hls4ml state accum and result",
    ),
    Code.BATCH_NORMALIZATION: Rule(
        _WARN,
        "folds it into the layer before it, or makes an exact layer of it",
        "cuts scale and bias off to fixed<16,6>: a third of the outputs equal",
        "QConv2DBatchnorm, or fold it before quantizing",
    ),
    Code.QUANTIZED_BATCH_NORMALIZATION: Rule(
        _WARN,
        "makes a layer of it, whose scale and bias are rounded to a stated grid",
        "prints 'Unsupported quantizer: quantized_po2' and goes on with wrong values",
        "QConv2DBatchnorm, or fold it before quantizing",
    ),
}
