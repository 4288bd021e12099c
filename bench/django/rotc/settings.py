"""Settings from the environment: where PostgreSQL is, and the key that signs the tokens."""

import os

SECRET_KEY = os.environ["ROTC_SIGNING_KEY"]
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "rotc.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "grading.User"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt",
    "grading",
    "system",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("ROTC_DATABASE_HOST", "127.0.0.1"),
        "PORT": os.environ.get("ROTC_DATABASE_PORT", "5432"),
        "NAME": os.environ.get("ROTC_DATABASE_NAME", "rotc"),
        "USER": os.environ.get("ROTC_DATABASE_USER", "campanile"),
        "PASSWORD": os.environ.get("ROTC_DATABASE_PASSWORD", ""),
        # A server that is just being killed must not hold a writer for minutes.
        "OPTIONS": {"connect_timeout": 5},
    }
}
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]}
SIMPLE_JWT = {"ALGORITHM": "HS256", "SIGNING_KEY": os.environ["ROTC_SIGNING_KEY"]}
