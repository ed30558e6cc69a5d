"""Looking at a video: its frames, the face detector, the person who is followed, and where landmarks lie on a head."""
