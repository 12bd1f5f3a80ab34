"""Training: labelled face sets -> a `LinkGCN` in a folder."""
