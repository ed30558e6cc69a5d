"""What both stages of fitting share: checkpoints, the log of steps, and the watch for values that are not finite."""
