"""`python -m rgb_cli` is `rgb`."""

from .app import main

main()
