"""What the web server loads."""

import os

from app.config import Settings, of_instance
from app.web import create_app

app = create_app(Settings.from_env(of_instance(os.environ)))
