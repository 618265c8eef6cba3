"""The measured server: like ``stemwright serve``, but without limits and with a given handler.

    python -m benchmarks.server DATA HANDLER

It imports nothing else than the server does, since its memory is measured.
"""

import sys
from pathlib import Path

from stemwright.cli.serve import open_listener, run
from stemwright.settings import read_settings


def main() -> None:
    """Serves on a free port until SIGTERM."""
    data, handler = Path(sys.argv[1]), sys.argv[2]
    settings = read_settings(data=data, port=0, rate_limit="0", account_event_streams=0)
    with open_listener(settings) as listener:
        run(settings.model_copy(update={"port": listener.getsockname()[1]}), listener, handler)


if __name__ == "__main__":
    main()
