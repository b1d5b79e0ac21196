"""The only package that runs or imports foreign machinery other than Keras: one file a tool, process.py under them."""
