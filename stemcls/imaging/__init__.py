"""From a microscope file to a Field of pixels and the Detections in it."""
