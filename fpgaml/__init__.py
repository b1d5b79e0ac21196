"""fpgaml: quantized neural networks on FPGAs, proved bit for bit before synthesis."""

__version__ = "0.1.0"
