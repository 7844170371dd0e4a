"""Layer-wise relevance propagation: hand a logit back to the pixels, layer by layer."""
