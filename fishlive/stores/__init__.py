"""Where the state of tasks is kept: a file, or a server that several receivers share."""

from fishlive.errors import StoreError
from fishlive.stores.base import TaskStore
from fishlive.stores.record import Heard, Phase, Record
from fishlive.stores.redis import RedisStore
from fishlive.stores.sqlite import SqliteStore

__all__ = ["Heard", "Phase", "Record", "RedisStore", "SqliteStore", "StoreError", "TaskStore"]
