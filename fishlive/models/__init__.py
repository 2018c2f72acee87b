"""Requests and answers as values: checked when they are made, never changed afterwards."""

from fishlive.models.warning import RequestWarning

__all__ = ["RequestWarning"]
