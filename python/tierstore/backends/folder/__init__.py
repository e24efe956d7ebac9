"""Content as files in a folder."""
