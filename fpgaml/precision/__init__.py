"""How many bits the numbers need: histograms, profiles, recommended types, post-training quantization, sweeps."""
