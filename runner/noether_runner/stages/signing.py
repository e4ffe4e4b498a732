"""Ed25519 signatures over stage ids, and the author's key (`stages.md` §3).

What is signed are the 64 ASCII characters of the id, so a signature says who vouched for an id and
nothing about the content; the content is compared with the id by `verify.py`. The cryptography
package is imported on first use: most commands never need it.
"""

import os
import re
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError

STDLIB_PUBLIC_KEY = "1d17f5b0d9afdb8724a4e7d86620534b26dbedf5e988ed2dd4a48afb1a9ca4f7"
"""Key of the standard library's signatures. Its private half is public knowledge (§3.2)."""

KEY_FILE_NAME = "author-key.hex"

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*\Z")
_SIGNATURE_BYTES = 64
_KEY_BYTES = 32

_FIELD_PRIME = 2**255 - 19
_ORDER_8_Y = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_8_Y, _FIELD_PRIME - _ORDER_8_Y})
"""Second coordinates of the eight points whose order divides 8. For a key among them a signature
that fits every message is easy to make, so such a key proves nothing."""


class Verdict(StrEnum):
    """What looking at the two signature members of a record found (§3.3)."""

    VALID = "valid"
    INVALID = "invalid"
    UNSIGNED = "unsigned"
    HALF_SIGNED = "half_signed"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature and the key that checks it, both in lower-case hex."""

    ed25519_signature: str
    signer_public_key: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key: the 32 bytes of an Ed25519 seed, never shown."""

    seed: bytes

    def __repr__(self) -> str:
        return "SigningKey(...)"

    @property
    def public_key(self) -> str:
        """The public half, 64 hex digits."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw().hex()

    def sign(self, stage_id: str) -> Signature:
        """The signature of a stage id; the same seed and id always give the same one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        return Signature(
            ed25519_signature=key.sign(stage_id.encode()).hex(),
            signer_public_key=key.public_key().public_bytes_raw().hex(),
        )


class KeyFileError(RunnerError):
    """The author's key file cannot be used or made; the message names it and says what to do."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(ErrorCode.BAD_REQUEST, f"author key {path.absolute()}: {reason}")
        self.key_path = path


def signature_verdict(
    stage_id: str, ed25519_signature: str | None, signer_public_key: str | None
) -> Verdict:
    """Judges the two members of a record (§3.3); never raises for what a record may hold."""
    if ed25519_signature is None and signer_public_key is None:
        return Verdict.UNSIGNED
    if ed25519_signature is None or signer_public_key is None:
        return Verdict.HALF_SIGNED
    signature = _bytes_of_hex(ed25519_signature)
    key = _bytes_of_hex(signer_public_key)
    if signature is None or len(signature) != _SIGNATURE_BYTES:
        return Verdict.INVALID
    if key is None or len(key) != _KEY_BYTES or _has_small_order(key):
        return Verdict.INVALID
    return Verdict.VALID if _verifies(key, signature, stage_id.encode()) else Verdict.INVALID


def author_key_path(environ: Mapping[str, str]) -> Path:
    """The author's key file: below `NOETHER_HOME`, else `~/.noether`, else `./.noether`."""
    own = environ.get("NOETHER_HOME")
    folder = Path(own) if own else Path(environ.get("HOME") or ".") / ".noether"
    return folder / KEY_FILE_NAME


def read_key(path: Path) -> SigningKey | None:
    """The key in a file of 64 hex digits, or None when there is no such file.

    Anything else in the file is a `KeyFileError`: it is never replaced by a new key.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(path, f"cannot be read ({_reason(error)})") from None
    seed = _bytes_of_hex(text)
    if seed is None or len(seed) != _KEY_BYTES:
        raise KeyFileError(
            path, "expected 64 hex digits (an Ed25519 seed); restore it or move it away"
        )
    return SigningKey(seed)


def create_key(path: Path) -> SigningKey:
    """Makes a new random key in a file that only its owner can read. An existing file stays."""
    key = SigningKey(os.urandom(_KEY_BYTES))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(path, "is there already; move it away to make a new one") from None
    except OSError as error:
        raise KeyFileError(path, f"cannot be made ({_reason(error)})") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.seed.hex())
    return key


def is_readable_by_others(path: Path) -> bool:
    """Whether users other than the owner may read or change a key file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _bytes_of_hex(text: str) -> bytes | None:
    # `bytes.fromhex` would skip blanks, which the rule does not allow.
    return bytes.fromhex(text) if _HEX.match(text) else None


def _has_small_order(key: bytes) -> bool:
    y = int.from_bytes(key, "little") & (2**255 - 1)
    return y % _FIELD_PRIME in _SMALL_ORDER_Y


def _verifies(key: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "not ASCII text"
