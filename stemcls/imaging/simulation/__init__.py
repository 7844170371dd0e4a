"""Fields of simulated cells, with everything about them known."""
