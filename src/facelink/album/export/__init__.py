"""What an album knows, in forms that other programs read: tables, folders, XMP and a page."""
