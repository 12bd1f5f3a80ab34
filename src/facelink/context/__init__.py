"""What a neighbour graph alone says about a pair of instances, whatever embedder made it."""
