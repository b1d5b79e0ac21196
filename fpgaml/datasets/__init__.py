"""Images and tables as integer codes, so that training and hardware see the same numbers."""
