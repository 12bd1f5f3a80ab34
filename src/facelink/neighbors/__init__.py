"""Stage 2: the k nearest neighbours of every instance."""
