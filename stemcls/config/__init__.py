"""Every setting as a frozen dataclass; TOML files, CLI options and UI forms come from these."""
