"""Real servers on free loopback ports with private data folders, stopped by pid.

| module | starts |
|---|---|
| `postgres.py` | PostgreSQL, and a streaming replica when its address is asked for |
| `pgbouncer.py` | PgBouncer in transaction mode, before PostgreSQL |
| `redis.py` | redis-server or valkey-server |
| `redis_cluster.py`, `redis_sentinel.py` | the same as three nodes, and as a primary with a replica and three sentinels |
| `redis_impostor.py` | a link that misbehaves, a server that refuses everything |
| `s3.py` | the Versity S3 gateway |
| `http_proxy.py` | a proxy before one of them that spoils replies |
| `programs.py` | finds their programs, or installs them where that is possible |
| `process.py` | start, stop, pause, resume, kill: the same for all |
| `reaper.py` | ends what is left when the run itself is killed |
| `fleet.py` | all of them, each started when it is first asked for |

`python -m tests.servers` starts all, prints their addresses as lines for a shell, and waits.
"""
