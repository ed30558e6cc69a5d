"""Settings of every test run."""

import os

# As the `rgb` command does, and for the same reason; before anything imports torch or numba.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
