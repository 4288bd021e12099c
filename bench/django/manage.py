"""The host platform of the acceptance run's fourth act: an ROTC grading system in Django, as its own people would run it."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rotc.settings")
    execute_from_command_line(sys.argv)
