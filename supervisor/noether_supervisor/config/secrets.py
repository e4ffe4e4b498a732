"""Secrets of the configuration: given as a text, as `{"env": NAME}` or as `{"file": PATH}`.

They are read when they are needed, not when the file is read, and appear in no `repr`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, SecretStr, Tag

from noether_supervisor.config.bounded import read_bounded
from noether_supervisor.config.part import ConfigPart, PathText, VariableName
from noether_supervisor.errors import SupervisorError

_MOST_BYTES = 64 * 1024
"""Of a secret: no key is as long."""


class EnvSecret(ConfigPart):
    """A secret in an environment variable of the service."""

    env: VariableName = Field(description="Name of an environment variable of the service.")


class FileSecret(ConfigPart):
    """A secret in a file; its trailing line end does not count."""

    file: PathText = Field(description="Path of a file that holds the secret and nothing else.")


def _form(value: Any) -> str | None:
    if isinstance(value, str | SecretStr):
        return "<text>"
    if isinstance(value, EnvSecret):
        return "<env>"
    if isinstance(value, FileSecret):
        return "<file>"
    if isinstance(value, dict):
        named = [key for key in value if not str(key).startswith(("_", "$"))]
        if named in (["env"], ["file"]):
            return f"<{named[0]}>"
    return None


Secret: TypeAlias = Annotated[
    Annotated[SecretStr, Field(min_length=1), Tag("<text>")]
    | Annotated[EnvSecret, Tag("<env>")]
    | Annotated[FileSecret, Tag("<file>")],
    Discriminator(
        _form,
        custom_error_type="secret_form",
        custom_error_message='expected a string, {"env": NAME} or {"file": PATH}',
    ),
]


def read_secret(secret: Secret, environ: Mapping[str, str]) -> str:
    """The secret itself; raises `SupervisorError` when its variable or file is not there."""
    match secret:
        case EnvSecret(env=name):
            if not (value := environ.get(name)):
                raise SupervisorError(
                    f"the secret of the environment variable {name} is not set for this process"
                )
            return value
        case FileSecret(file=path):
            absolute = Path(path).absolute()
            try:
                text = read_bounded(absolute, _MOST_BYTES).decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
                raise SupervisorError(f"cannot read the secret file {absolute}: {reason}") from None
            value = text.removesuffix("\n").removesuffix("\r")
            if not value:
                raise SupervisorError(f"the secret file {absolute} is empty")
            return value
        case SecretStr():
            return secret.get_secret_value()
