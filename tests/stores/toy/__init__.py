"""A store of some hundred lines that the roster does not have: `test_toy.py` plants it in a copy of the package."""
