"""A Django with SimpleJWT, as a host platform runs it: migrates, makes a user, and signs in over its own token routes.

`django_school.py HS256 <secret>` or `django_school.py RS256 <private key in PEM> <public key in PEM>`; prints what the
sign-in answered as JSON.
"""

import json
import sys

import django
from django.conf import settings


def main(algorithm: str, key: str, public_key: str = "") -> None:
    settings.configure(
        SECRET_KEY="django's own secret, which signs no token here",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "rest_framework_simplejwt"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]},
        SIMPLE_JWT={"ALGORITHM": algorithm, "SIGNING_KEY": key, "VERIFYING_KEY": public_key},
    )
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from rest_framework.test import APIClient

    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_user("ada", password="bells and whistles")
    client = APIClient()
    answer = client.post("/api/token/", {"username": "ada", "password": "bells and whistles"}, format="json")
    refreshed = client.post("/api/token/refresh/", {"refresh": answer.data["refresh"]}, format="json")
    print(json.dumps({"user_id": user.pk, **answer.data, "refreshed": refreshed.data["access"]}))


def __getattr__(name: str) -> list:
    """Django asks its ROOT_URLCONF for `urlpatterns`, which can be imported only after the settings are there."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.urls import path
    from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

    return [path("api/token/", TokenObtainPairView.as_view()), path("api/token/refresh/", TokenRefreshView.as_view())]


if __name__ == "__main__":
    main(*sys.argv[1:])
