"""`load_cadets FOLDER`: the students of OULAD's largest course become approved cadets; four staff members are there too."""

import csv
import datetime
import gzip
from collections import defaultdict
from pathlib import Path

from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand
from django.db import transaction

from grading.models import Cadet, TrainingDay, User

STAFF = 4
TRAINING_DAYS = 12
FIRST_DAY = datetime.date(2026, 1, 10)


class Command(BaseCommand):
    """Loads everyone in one transaction."""

    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("folder", type=Path, help="the folder with studentRegistration.csv.gz")
        parser.add_argument("--most", type=int, default=None, help="no more cadets than this")

    @transaction.atomic
    def handle(self, *, folder, most, **_):
        numbers = largest_course(folder / "studentRegistration.csv.gz")[:most]
        cadets = Cadet.objects.bulk_create(Cadet(id=number) for number in numbers)
        nobody = make_password(None)
        users = [User(username=f"staff-{n}", role=User.Role.TRAINING_STAFF) for n in range(1, STAFF + 1)]
        users += [User(username=f"cadet-{cadet.id}", role=User.Role.CADET, cadet=cadet) for cadet in cadets]
        for user in users:
            user.password, user.is_approved = nobody, True
        User.objects.bulk_create(users, batch_size=1000)
        weeks = (FIRST_DAY + datetime.timedelta(weeks=n) for n in range(TRAINING_DAYS))
        TrainingDay.objects.bulk_create(TrainingDay(date=day, title=f"Drill {n}") for n, day in enumerate(weeks, 1))
        self.stdout.write(f"{len(cadets)} cadets, {STAFF} staff, {TRAINING_DAYS} training days")


def largest_course(path):
    """Its students in the file's order."""
    courses = defaultdict(dict)
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            courses[row["code_module"], row["code_presentation"]][int(row["id_student"])] = None
    return list(max(courses.values(), key=len))
