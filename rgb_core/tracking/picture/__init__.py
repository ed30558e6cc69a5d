"""What a tracked clip looks like: the window around the head, the matte, the labels, and the preview."""
