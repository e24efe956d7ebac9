"""Redis and Valkey (single, Sentinel, Cluster): `key_value` (L2, its fences) and `channel` over `route`, `node`, `link`, `wire`."""
