"""What the driver of state (`redis/pairs.py`) is made of.

trailer: the etag at a value's end · scripts: the commands and the names of what is kept beside the values · travel: what goes to the server
together · writes: by script, or by plain SET where nobody watches · pages: SCAN · ends: when watched keys end · watching, stream,
shards: what changed, on one server and in a cluster · dangers, rights: what health warns of
"""
