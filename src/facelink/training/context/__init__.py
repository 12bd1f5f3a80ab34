"""Training of the context model on many embedders, real and made up."""
