"""Ace Data Cloud and xhuoapi: gateways that answer with links, at once or later."""

from fishlive.gateways.acedata import AceData
from fishlive.gateways.results import AudioLink, Cost, MadeVoice
from fishlive.gateways.tasks import Task, TaskStatus
from fishlive.gateways.verdict import TaskState
from fishlive.gateways.xhuo import Xhuo
from fishlive.models.gateway import LinkedReference

__all__ = [
    "AceData",
    "AudioLink",
    "Cost",
    "LinkedReference",
    "MadeVoice",
    "Task",
    "TaskState",
    "TaskStatus",
    "Xhuo",
]
