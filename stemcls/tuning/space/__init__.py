"""What may be tried: settings, their ranges, and where they count."""
