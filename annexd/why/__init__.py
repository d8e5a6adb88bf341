"""``annexd why``: why a content, or a file, is where it is, and not elsewhere."""
