"""PostgreSQL: `records` (rows and transactions) over `pool`, `connection`, `wire` and `unit`; `channel` reads the outbox."""
