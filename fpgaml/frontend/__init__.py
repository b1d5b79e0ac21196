"""Models as Keras and QKeras have them, read as Networks: exactly, or refused with the reason."""
