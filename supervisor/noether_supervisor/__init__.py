"""The supervisor: decides, starts, limits, kills, remembers, tells."""
