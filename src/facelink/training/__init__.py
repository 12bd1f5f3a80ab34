"""Training of link models on labelled feature sets."""
