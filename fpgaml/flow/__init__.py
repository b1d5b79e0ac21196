"""The main job: steps, the verbs as functions on values, and what else is done with a run."""
