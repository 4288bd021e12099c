"""Sign-in, as SimpleJWT offers it, with the claims of this platform."""

from django.urls import path
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from grading.tokens import RoleTokenSerializer

urlpatterns = [
    path("api/token/", TokenObtainPairView.as_view(serializer_class=RoleTokenSerializer)),
    path("api/token/refresh/", TokenRefreshView.as_view()),
]
