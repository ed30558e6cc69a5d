"""Fitting one head model to all frames of a clip at once: unknowns, evidence, priors, and the solver."""
