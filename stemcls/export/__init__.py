"""A finished run in the formats of other programs, each checked against the run, with a card."""
