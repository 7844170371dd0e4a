"""Screens: one for each mode, the form that lies over them, help and jump mode."""
