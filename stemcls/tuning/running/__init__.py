"""Getting trials done: which fold is next, in which process, and what it does there."""
