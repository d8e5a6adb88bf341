"""What runs in annexd's children."""
