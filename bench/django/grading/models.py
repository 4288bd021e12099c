"""People, their sheets, and what is written into them."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Cadet(models.Model):
    """A cadet's sheet: the sums that the grade is made of."""

    # The registrar's number, not ours.
    id = models.BigIntegerField(primary_key=True)
    merit_points = models.IntegerField(default=0)
    demerit_points = models.IntegerField(default=0)
    attendance_present = models.IntegerField(default=0)
    prelim_score = models.FloatField(null=True)
    midterm_score = models.FloatField(null=True)
    final_score = models.FloatField(null=True)


class User(AbstractUser):
    """Who signs in. Only the approved may."""

    class Role(models.TextChoices):
        ADMIN = "admin"
        TRAINING_STAFF = "training_staff"
        CADET = "cadet"

    role = models.CharField(max_length=20, choices=Role.choices, default=Role.CADET)
    is_approved = models.BooleanField(default=False)
    cadet = models.OneToOneField(Cadet, null=True, on_delete=models.CASCADE, related_name="user")


class TrainingDay(models.Model):
    """A day on which cadets are expected."""

    date = models.DateField(unique=True)
    title = models.CharField(max_length=100)


class Entry(models.Model):
    """What is written into a cadet's sheet. The marker names the entry wherever it goes on to."""

    cadet = models.ForeignKey(Cadet, on_delete=models.CASCADE)
    marker = models.CharField(max_length=60, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


class Merit(Entry):
    """Points for good or bad conduct."""

    type = models.CharField(max_length=10, choices=[("merit", "merit"), ("demerit", "demerit")])
    points = models.PositiveIntegerField()
    reason = models.TextField()


class Attendance(Entry):
    """Whether a cadet came on a training day; a correction is a further entry."""

    training_day = models.ForeignKey(TrainingDay, on_delete=models.CASCADE)
    status = models.CharField(max_length=10)
    time_in = models.TimeField(null=True)
    time_out = models.TimeField(null=True)


class ExamScore(Entry):
    """One score of one of the three exams."""

    exam = models.CharField(max_length=10, choices=[("prelim", "prelim"), ("midterm", "midterm"), ("final", "final")])
    score = models.FloatField()
