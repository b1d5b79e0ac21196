"""What a network is built for: design, boards and parts, what its outputs are; programs and their reports."""
