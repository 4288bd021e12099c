"""What other programs are told: a row for each change, written in the change's own transaction."""

from django.db import models
from django.db.models.fields.json import KeyTextTransform


class SyncEvent(models.Model):
    """One change of one cadet's sheet, to be carried to whoever watches it."""

    event_type = models.CharField(max_length=50)
    cadet_id = models.BigIntegerField(null=True)
    payload = models.JSONField(default=dict)
    processed = models.BooleanField(default=False, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # A transaction that is tried again after a lost answer can never be there twice.
            models.UniqueConstraint(KeyTextTransform("marker", "payload"), name="system_syncevent_marker"),
        ]
