"""Load from as many machines as it takes: percentiles of all of them together.

    pip install "fishlive[locust]"

On the machine that adds up, with Locust's web page at http://localhost:8089:

    locust -f examples/locustfile.py --master --host https://api.fish.audio --fishlive-json all.json

On each machine that speaks, as often as it has cores; only here the key is needed:

    FISH_API_KEY=… locust -f examples/locustfile.py --worker --master-host 192.0.2.1

Or all in one process, without a page: 10 users at once, 20 utterances each.

    FISH_API_KEY=… locust -f examples/locustfile.py --headless -u 10 --fishlive-utterances 20

What --fishlive-json wrote is for `fishlive bench show` and `compare`.
`locust --help` lists every --fishlive option.
"""

from __future__ import annotations

from fishlive.bench.locust import FishUser


class Caller(FishUser):
    """Speaks as the options say; --fishlive-pacing 10 has each begin every ten seconds."""
