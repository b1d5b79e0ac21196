"""What each layer of a model really does, and every trap it walks into."""
