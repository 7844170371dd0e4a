"""From detections to an HDF5 crop store, and from a store to grouped splits."""
