"""The two gateways, played on the same port: Ace at ``/fish/…``, xhuoapi at ``/v1/fish/…``."""
