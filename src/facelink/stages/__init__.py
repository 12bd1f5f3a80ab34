"""Millions of faces: the path of the data in stages that are kept on the disk and resumed."""
