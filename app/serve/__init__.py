"""One command that carries everything: database, signal store, web, workers and timer, under one supervisor.

    account.py      whom a server may run as when we are root
    process.py      start a child that cannot outlive us, and end it
    postgres.py     the carried PostgreSQL: made once, tuned, started, stopped
    valkey.py       the carried Valkey (or the Redis found on PATH)
    home.py         the data directory: its lock and its secret
    everything.py   what is started, in order
    supervisor.py   keeps children running, ends them in order, shows what they say
    web.py          the web server
    pg.py           runs a PostgreSQL tool against the carried database (`bin/pg pg_dump ...`)

Production does without this package: there each part is started by the platform (compose.yaml, docs/operate.md).
"""
