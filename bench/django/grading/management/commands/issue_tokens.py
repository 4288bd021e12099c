"""`issue_tokens FILE`: an access token for every approved user, a JSON line each."""

import json
from datetime import timedelta
from pathlib import Path

from django.core.management.base import BaseCommand

from grading.models import User
from grading.tokens import RoleTokenSerializer

# Longer than any run.
LIFETIME = timedelta(hours=24)


class Command(BaseCommand):
    """Signs with SimpleJWT, as the sign-in route does."""

    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)

    def handle(self, *, file, **_):
        users = User.objects.filter(is_approved=True).order_by("pk")
        with file.open("w") as lines:
            for user in users:
                access = RoleTokenSerializer.get_token(user).access_token
                access.set_exp(lifetime=LIFETIME)
                line = {"user_id": user.pk, "name": user.username, "role": user.role, "cadet_id": user.cadet_id}
                lines.write(json.dumps({**line, "access": str(access)}) + "\n")
        self.stdout.write(f"{len(users)} tokens")
