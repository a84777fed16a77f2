"""What `docs/build.py` makes the site of: guides, the reference, search."""
