"""The built-in presets, installed as the data package `rgb_presets`."""
