"""facelink groups faces by person: linkage-based clustering with a graph convolution network."""

__version__ = "0.1.0"
