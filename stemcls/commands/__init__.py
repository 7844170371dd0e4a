"""One module per command of the command line; heavy imports wait until a command runs."""
