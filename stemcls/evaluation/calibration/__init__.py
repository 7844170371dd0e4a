"""Scores that mean what they say, and when to say nothing: temperature, sets, novelty."""
