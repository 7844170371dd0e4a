"""What can be learned from crops by cheap classifiers: features, linear probes, learning curves."""
