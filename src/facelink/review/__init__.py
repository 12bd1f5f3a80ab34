"""A page on this machine to look through an album and say who is who."""
