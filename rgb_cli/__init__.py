"""The `rgb` command line: arguments, progress, tables and errors; no maths."""
