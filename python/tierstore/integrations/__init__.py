"""Thin faces of other libraries over the stores, each in a module of its own with its own extra. Imported by whoever uses one.

keyvalue: py-key-value, the storage interface of FastMCP
"""
