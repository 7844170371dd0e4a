"""Score found cells against known ones, and compare settings by number and by eye."""
