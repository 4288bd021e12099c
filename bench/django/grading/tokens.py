"""Tokens that say who somebody is here: the role, and for cadets whose record is theirs."""

from rest_framework_simplejwt.serializers import TokenObtainPairSerializer


class RoleTokenSerializer(TokenObtainPairSerializer):
    """SimpleJWT's own sign-in with two more claims."""

    @classmethod
    def get_token(cls, user):
        token = super().get_token(user)
        token["role"] = user.role
        if user.cadet_id is not None:
            token["cadet_id"] = user.cadet_id
        return token
