# Names that only a framework or a reader of the data uses, for vulture.
from app.api.health import Figures
from app.db import Id, Words
from app.worker import Worker

Figures.collect
Id
Words
Worker.get_heartbeat_ttl
