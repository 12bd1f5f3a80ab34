"""`facelink benchmark`: facelink beside the field's methods, and the paper's own evidence."""
