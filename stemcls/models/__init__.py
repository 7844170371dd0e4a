"""A Keras graph for a store: backbone, head, saving and loading."""
