"""Search a store and a run for what makes a score too good: leaks between sides, and shortcuts."""
