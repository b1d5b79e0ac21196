"""The benchmark: ours against hls4ml's own path, on the same networks and machine."""
