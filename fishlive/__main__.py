"""``python -m fishlive`` is the ``fishlive`` command."""

from __future__ import annotations

import sys

from fishlive.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
