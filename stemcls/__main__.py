"""`python -m stemcls` is the `stemcls` command."""

from stemcls.cli import main

main()
