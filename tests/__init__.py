"""Tests by ring; see docs/design/house.md. A package, so that `python -m tests.servers` works and helpers are imported by name."""
