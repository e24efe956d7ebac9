"""Time as tests may look at it."""

BUSY_S = 2.5
"""What a busy machine may add to a call that ends by its deadline. Drivers left to themselves take 5 s and more to leave a server."""
