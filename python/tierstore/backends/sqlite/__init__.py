"""SQLite: `records` (rows and transactions) over one `writer` and many `readers`; `channel` watches the file."""
