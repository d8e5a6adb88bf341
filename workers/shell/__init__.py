"""``annexd shell``: what ``git-annex-shell`` does for clients of a repository, natively."""
