"""How good a finished model is, with uncertainty, as numbers, tables and figures."""
