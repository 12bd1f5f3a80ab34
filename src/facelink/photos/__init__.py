"""Photographs: from folders of image files to aligned, embedded and judged faces."""
