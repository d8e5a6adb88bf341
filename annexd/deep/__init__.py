"""``annexd doctor --deep``: whether everything in a repository agrees with everything else."""
