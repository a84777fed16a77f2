"""What a wrong gradient looks like, and where it is wrong."""
