"""Our search and our networks, each for use inside KerasTuner."""
