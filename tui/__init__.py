"""The terminal UI: a reader of stores and runs, and a launcher of jobs."""
