"""State: values under keys, with an end and an etag.

values, reading: what a value is as bytes, and back as a type · envelope: compressed and sealed
"""
