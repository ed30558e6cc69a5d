"""Relightable Gaussian blendshapes: everything but the command line."""
