"""A user and a password, wherever a site names one."""

from portico.spec.fields import Options, Text
from portico.spec.secrets import SecretField


class Login(Options):
    """A user and the password by reference."""

    user: Text
    password: SecretField
