"""Stage 6: weighted links in, cluster labels out."""
