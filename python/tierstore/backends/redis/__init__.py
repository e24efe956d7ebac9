"""Redis and Valkey: one server, Sentinel, a cluster.

`key_value` (L2, its fences), `channel` and `pairs` (state) over `route`, `node`, `link`, `wire`
"""
