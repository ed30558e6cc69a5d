"""Units that people give numbers in; everything inside is in metres and radians."""

MILLIMETRE = 1e-3
"""Metres."""
