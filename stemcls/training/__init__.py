"""Batches, augmentation and the stages that fit a model to a split of a store."""
