"""Screens: the start screen with its tabs, one run, the training form, and help."""
