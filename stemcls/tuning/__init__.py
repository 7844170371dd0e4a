"""Search for good settings: spaces, suggestions, and studies that outlive their processes."""
