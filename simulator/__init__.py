"""The simulator: plays a recorded machine into D'insight, over HTTP alone."""
