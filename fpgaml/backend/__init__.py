"""From a Network to C++ that runs: hls4ml in a child process, reading back, C simulation."""
