"""What is verified, whatever it was made of: one interface, an adapter a file."""
