"""What the web server and the `flask` command load."""

import os
import sys
from pathlib import Path

from app import cli
from app.config import Settings, SettingsError, of_instance
from app.web import create_app

try:
    app = create_app(Settings.from_env(of_instance(os.environ)))
    cli.register(app)
except SettingsError as error:
    # `flask workflows check` and its like read files only, and must work where nothing is set up. Servers must not.
    if Path(sys.argv[0]).name != "flask":
        raise
    app = cli.without_house(str(error))
