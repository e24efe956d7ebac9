"""The stores. Each receives tiers, never drivers."""
