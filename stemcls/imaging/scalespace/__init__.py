"""Find blobs over scales: as skimage.feature does, or on a pyramid and sub-pixel."""
