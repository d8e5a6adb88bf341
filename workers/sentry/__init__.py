"""The sentry: which remotes can be reached, and who must hear that one is back."""
