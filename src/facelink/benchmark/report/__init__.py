"""A report as a page, as Markdown and as a folder of files."""
