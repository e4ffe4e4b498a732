"""Secret values kept out of what is remembered of a run (`runtimes.md` §7.7)."""

from noether_contract.messages import RegistryRef, RunRequest
from noether_contract.package_settings import passwords_in

_SHORTEST_SECRET = 8
_HIDDEN = "***"


class Mask:
    """Replaces the secret values of a run's request, those of 8 characters or more, by `***`.

    The runner does this itself wherever it writes; this is for a runner that died in the middle.
    """

    def __init__(self, request: RunRequest) -> None:
        environment = request.grants.environment
        values = {environment.get(name, "") for name in request.grants.secret_names}
        if isinstance(request.store, RegistryRef):
            values.add(request.store.api_key or "")
        values.update(passwords_in(request.packages.settings))
        # The longest first: one secret may hold another.
        self._values = sorted(
            (value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True
        )

    def hide(self, text: str) -> str:
        """The text without secrets."""
        for value in self._values:
            text = text.replace(value, _HIDDEN)
        return text
