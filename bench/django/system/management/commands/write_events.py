"""`write_events FILE`: the platform's working day. Entries are written into the sheets, and with them sync events.

Several threads write in transactions of their own. Some are rolled back on purpose, some are held open before they commit.
The database may be killed at any moment: a transaction whose answer was lost is looked up by its markers before FILE says
what became of it. FILE gets one JSON line for each sync event: committed, or rolled back and never to be seen.
"""

import json
import random
import threading
import time
from dataclasses import dataclass
from datetime import time as wall_clock
from pathlib import Path

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from grading.models import Attendance, Cadet, ExamScore, Merit, TrainingDay
from system.models import SyncEvent

ROWS_MAX = 3
HOLD_S = (1.0, 5.0)
RETRY_PAUSE_S = 0.2
# A database that is away for longer fails the run.
PATIENCE_S = 120
# This share of all entries goes to the first few cadets: those whom others watch and grade at the same time.
BUSY_SHARE = 0.4
REASONS = ["Outstanding performance", "Late to formation", "Größe, 数学 und 🎓", 'He said "hello" \\ and left', "<b>bold</b>\n"]


class RolledBack(Exception):
    """The platform changed its mind."""


@dataclass
class Planned:
    """A transaction: its entries as (kind, cadet, marker), and how it is to end."""

    entries: list
    roll_back: bool
    hold_s: float


class Command(BaseCommand):
    """Plans from a seed, writes with threads."""

    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)
        parser.add_argument("--count", type=int, default=10_000, help="sync events to commit")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--rollback-share", type=float, default=0.05)
        parser.add_argument("--slow-share", type=float, default=0.02)
        parser.add_argument("--seconds", type=float, default=60, help="the time over which the transactions are spread")
        parser.add_argument("--threads", type=int, default=8)
        parser.add_argument("--busy", type=int, default=100, help="how many cadets get many entries")

    def handle(self, *, file, count, seed, rollback_share, slow_share, seconds, threads, busy, **_):
        cadets = list(Cadet.objects.order_by("user__pk").values_list("pk", flat=True))
        plan = make_plan(random.Random(seed), cadets, busy, count, rollback_share, slow_share)
        with file.open("w") as truth:
            desk = Desk(plan, seconds, list(TrainingDay.objects.values_list("pk", flat=True)), truth)
            workers = [threading.Thread(target=desk.work, args=(random.Random(seed + n),)) for n in range(1, threads + 1)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        if desk.failure:
            raise desk.failure
        self.stdout.write(json.dumps(desk.counts))


def make_plan(dice, cadets, busy, count, rollback_share, slow_share):
    plan, committed, number = [], 0, 0
    while committed < count:
        roll_back = dice.random() < rollback_share
        rows = min(dice.randint(1, ROWS_MAX), count - committed)
        chosen = set()
        while len(chosen) < rows:
            chosen.add(dice.choice(cadets[:busy] if dice.random() < BUSY_SHARE else cadets))
        entries = []
        # In one order, so that two transactions never wait for each other.
        for cadet in sorted(chosen):
            number += 1
            entries.append((dice.choice(["merit", "attendance", "exam"]), cadet, f"entry-{number}"))
        plan.append(Planned(entries, roll_back, dice.uniform(*HOLD_S) if dice.random() < slow_share else 0))
        committed += 0 if roll_back else rows
    return plan


class Desk:
    """What the threads share."""

    def __init__(self, plan, seconds, days, truth):
        self.plan = plan
        self.interval_s = seconds / len(plan)
        self.days = days
        self.truth = truth
        self.begin = time.monotonic()
        self.next = 0
        self.lock = threading.Lock()
        self.failure = None
        self.counts = {"transactions": 0, "committed": 0, "rolled_back": 0, "tried_again": 0, "answers_lost": 0}

    def work(self, dice):
        try:
            while (planned := self.take()) is not None:
                self.tell(*self.settle(planned, dice))
        except Exception as error:
            self.failure = error
        finally:
            connection.close()

    def take(self):
        with self.lock:
            if self.failure or self.next >= len(self.plan):
                return None
            number, self.next = self.next, self.next + 1
        time.sleep(max(0.0, self.begin + number * self.interval_s - time.monotonic()))
        return self.plan[number]

    def settle(self, planned, dice):
        """Tries until it is known what became of it: the outcome, and the rows as the database spells them."""
        give_up = time.monotonic() + PATIENCE_S
        rows = []
        while True:
            try:
                with transaction.atomic():
                    for entry in planned.entries:
                        self.enter(*entry, dice)
                    rows = rows_of(planned)
                    time.sleep(planned.hold_s)
                    if planned.roll_back:
                        raise RolledBack
                return "committed", rows
            except RolledBack:
                return "rolled_back", rows
            except (DatabaseError, InterfaceError):
                if time.monotonic() > give_up:
                    raise
            there = self.look_up(planned, give_up)
            if there:
                self.count("answers_lost")
                return "committed", there
            if planned.roll_back and rows:
                return "rolled_back", rows
            self.count("tried_again")

    def look_up(self, planned, give_up):
        """What is committed of it, asked again and again until the database answers."""
        while True:
            connection.close()
            try:
                return rows_of(planned)
            except (DatabaseError, InterfaceError):
                if time.monotonic() > give_up:
                    raise
                time.sleep(RETRY_PAUSE_S)

    def enter(self, kind, cadet_id, marker, dice):
        cadet = Cadet.objects.select_for_update().get(pk=cadet_id)
        if kind == "merit":
            conduct, points = dice.choice(["merit", "demerit"]), dice.randint(1, 10)
            add(cadet, f"{conduct}_points", points)
            Merit.objects.create(cadet=cadet, marker=marker, type=conduct, points=points, reason=dice.choice(REASONS))
        elif kind == "attendance":
            add(cadet, "attendance_present", 1)
            day = dice.choice(self.days)
            Attendance.objects.create(
                cadet=cadet, marker=marker, training_day_id=day, status="present", time_in=wall_clock(8, dice.randrange(60))
            )
        else:
            exam, score = dice.choice(["prelim", "midterm", "final"]), dice.randrange(120, 201) / 2
            setattr(cadet, f"{exam}_score", score)
            cadet.save(update_fields=[f"{exam}_score"])
            ExamScore.objects.create(cadet=cadet, marker=marker, exam=exam, score=score)

    def tell(self, outcome, rows):
        with self.lock:
            self.counts["transactions"] += 1
            self.counts[outcome] += len(rows)
            for row in rows:
                self.truth.write(json.dumps({**row, "outcome": outcome}) + "\n")
            self.truth.flush()

    def count(self, what):
        with self.lock:
            self.counts[what] += 1


def add(cadet, column, points):
    Cadet.objects.filter(pk=cadet.pk).update(**{column: F(column) + points})
    cadet.refresh_from_db(fields=[column])


def rows_of(planned):
    """The sync events of a transaction, as its own connection sees them now."""
    rows = SyncEvent.objects.annotate(marker=KeyTextTransform("marker", "payload"), text=Cast("payload", TextField()))
    rows = rows.filter(marker__in=[marker for _, _, marker in planned.entries]).order_by("pk")
    return [
        {"marker": row.marker, "row_id": row.pk, "event_type": row.event_type, "cadet_id": row.cadet_id, "payload": row.text}
        for row in rows
    ]
