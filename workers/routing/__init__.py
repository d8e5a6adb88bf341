"""Which ways contents take through the network: the map, and what is left to others."""
