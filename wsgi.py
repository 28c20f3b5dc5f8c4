"""What the web server loads."""

import os

from app.config import Settings
from app.web import create_app

app = create_app(Settings.from_env(os.environ))
