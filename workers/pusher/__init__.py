"""The pusher: commits what the journal has, and exchanges refs with every remote."""
