"""The scenarios: what is done to the files, and what is measured."""
