"""The run card: one TOML file that says everything a run depends on."""
