"""From the pixels of fields to the cells in them."""
