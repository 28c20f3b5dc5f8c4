"""`python -m app.worker work | timer`. Apart, so that the `app.worker` whose `drain` RQ imports is the one set up."""

import sys

from app.worker import main

sys.exit(main(sys.argv[1:]))
