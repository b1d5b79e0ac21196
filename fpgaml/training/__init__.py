"""Everything that learns: building, fitting, quantization-aware twins, compression, search, trials."""
