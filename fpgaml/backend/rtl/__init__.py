"""Verilog from a Network, simulated by Verilator and counted by yosys: hardware without a vendor's tool."""
