"""``python -m stemwright`` is the command line."""

from stemwright.cli import main

if __name__ == "__main__":
    main()
