"""Running the value exactly, and holding executions together: equal bit for bit, or the first difference and why."""
