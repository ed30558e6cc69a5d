"""Many subjects on many machines: a table of them, run as a graph of stages on Ray."""
