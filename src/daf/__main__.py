"""`python -m daf` is the `daf` command."""

from daf.cli import main

main()
