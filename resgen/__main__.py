"""`python -m resgen` is the `resgen` command."""

from resgen.cli import main

if __name__ == "__main__":
    main()
