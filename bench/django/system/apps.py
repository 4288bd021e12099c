"""Sync events are made by signals, in the transaction that changes the sheet."""

from django.apps import AppConfig


class SystemConfig(AppConfig):
    """Connects the signals once the models are there."""

    name = "system"

    def ready(self):
        from system import signals  # noqa: F401
