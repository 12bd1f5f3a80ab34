"""The field's ways of grouping faces behind one interface, to compare facelink with."""
