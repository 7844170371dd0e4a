"""Published protocols from images to report: which there are, and how one is run."""
