"""The scanner: decides which contents move, and keeps the queue filled with that."""
