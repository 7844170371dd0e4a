"""Which pixels a model looks at."""
