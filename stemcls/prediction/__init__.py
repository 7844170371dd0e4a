"""A finished model on new fields, crops or stores."""
