"""What people look at: pixels of any depth and any number of channels as colours."""
