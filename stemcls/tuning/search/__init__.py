"""What to try next, from the trials so far: nothing here runs or writes anything."""
