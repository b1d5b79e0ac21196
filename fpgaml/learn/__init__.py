"""Everything Keras: architectures, training, quantization, compression; imported only when its step runs."""
