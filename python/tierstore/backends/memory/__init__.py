"""What lives in this process alone. Nothing in it waits."""
