"""The value: a quantized network in integer codes, its types and ranges, the same in real numbers, its picture."""
