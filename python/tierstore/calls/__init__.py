"""What every store's public call needs and no store owns.

operation: deadline, span and names in errors · scope: the same store code outside and inside a transaction · store: what the roster asks
of a store · once: idempotency keys · usage: how often what is read · lines: export and import
"""
