"""The sync event of each entry, with the payload that the platform's clients know."""

from django.db.models.signals import post_save
from django.dispatch import receiver

from grading.models import Attendance, ExamScore, Merit
from system.models import SyncEvent


@receiver(post_save, sender=Merit)
def merit_saved(instance, **_):
    cadet = instance.cadet
    payload = {
        "type": instance.type,
        "points": instance.points,
        "merit_points": cadet.merit_points,
        "demerit_points": cadet.demerit_points,
        "reason": instance.reason,
        "attendance_present": cadet.attendance_present,
        "prelim_score": cadet.prelim_score,
        "midterm_score": cadet.midterm_score,
        "final_score": cadet.final_score,
    }
    tell("grade_update", instance, payload)


@receiver(post_save, sender=Attendance)
def attendance_saved(instance, **_):
    payload = {
        "training_day_id": instance.training_day_id,
        "status": instance.status,
        "attendance_present": instance.cadet.attendance_present,
        "time_in": instance.time_in and instance.time_in.isoformat(),
        "time_out": instance.time_out and instance.time_out.isoformat(),
    }
    tell("attendance_update", instance, payload)


@receiver(post_save, sender=ExamScore)
def exam_score_saved(instance, **_):
    cadet = instance.cadet
    payload = {
        "prelim_score": cadet.prelim_score,
        "midterm_score": cadet.midterm_score,
        "final_score": cadet.final_score,
        "changed_scores": {f"{instance.exam}_score": instance.score},
    }
    tell("exam_score_update", instance, payload)


def tell(event_type, entry, payload):
    payload = {"cadet_id": entry.cadet_id, **payload, "marker": entry.marker}
    SyncEvent.objects.create(event_type=event_type, cadet_id=entry.cadet_id, payload=payload)
