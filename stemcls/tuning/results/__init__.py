"""What came of a study: the choice, the final test, figures and the report."""
