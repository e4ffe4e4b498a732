import os
import subprocess
import sys
from pathlib import Path

import pytest

from noether_runner.stages.signing import (
    STDLIB_PUBLIC_KEY,
    KeyFileError,
    SigningKey,
    Verdict,
    author_key_path,
    create_key,
    is_readable_by_others,
    read_key,
    signature_verdict,
)

ID = "980de483c8940ece66165badd67c41a7f82aa286d1b170da5c12b149049e8ce3"
STDLIB = SigningKey(
    bytes.fromhex("01d39ad57bf9426b9eb673a3f245c07304e60fd6fc5e6565e0fab6932684e8c2")
)
SIGNED = STDLIB.sign(ID)


def verdict(signature: str | None = None, key: str | None = None) -> Verdict:
    return signature_verdict(ID, signature, key)


def test_the_golden_signature() -> None:
    assert SIGNED.signer_public_key == STDLIB_PUBLIC_KEY == STDLIB.public_key
    assert SIGNED.ed25519_signature == (
        "8fbc0bf1e722536cc83f4fca7b2f45610bb5d83d62762b629882b13073feccf82590e7ccb9801a6199d28f7a"
        "6afd5f62b163523c3ef73e5e183ea92276e3220f"
    )
    assert verdict(SIGNED.ed25519_signature, SIGNED.signer_public_key) is Verdict.VALID


@pytest.mark.parametrize(
    ("signature", "key"),
    [
        ("", STDLIB_PUBLIC_KEY),
        ("0x" + SIGNED.ed25519_signature[2:], STDLIB_PUBLIC_KEY),
        (SIGNED.ed25519_signature + "\n", STDLIB_PUBLIC_KEY),
        (" " + SIGNED.ed25519_signature + " ", STDLIB_PUBLIC_KEY),
        (SIGNED.ed25519_signature[:-2], STDLIB_PUBLIC_KEY),
        (SIGNED.ed25519_signature + "00", STDLIB_PUBLIC_KEY),
        (SIGNED.ed25519_signature, ""),
        (SIGNED.ed25519_signature, STDLIB_PUBLIC_KEY + "00"),
        (SIGNED.ed25519_signature, "é" * 64),
        (SIGNED.ed25519_signature, "02" + "00" * 31),
        (SIGNED.ed25519_signature, "ff" * 32),
    ],
)
def test_what_is_malformed_is_invalid(signature: str, key: str) -> None:
    assert verdict(signature, key) is Verdict.INVALID


def test_a_scalar_beyond_the_group_order_is_invalid() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    raw = bytes.fromhex(SIGNED.ed25519_signature)
    scalar = int.from_bytes(raw[32:], "little") + order
    malleable = (raw[:32] + scalar.to_bytes(32, "little")).hex()
    assert verdict(malleable, STDLIB_PUBLIC_KEY) is Verdict.INVALID


SMALL_ORDER_KEYS = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("key", SMALL_ORDER_KEYS)
def test_keys_of_small_order_prove_nothing(key: str) -> None:
    # R = the neutral point and S = 0: the equation holds for the neutral key and every message.
    forged = "01" + "00" * 63
    assert verdict(forged, key) is Verdict.INVALID


def test_nothing_or_half_of_it() -> None:
    assert verdict() is Verdict.UNSIGNED
    assert verdict(SIGNED.ed25519_signature) is Verdict.HALF_SIGNED
    assert verdict(key=STDLIB_PUBLIC_KEY) is Verdict.HALF_SIGNED


def test_where_the_author_key_belongs() -> None:
    assert author_key_path({"NOETHER_HOME": "/n", "HOME": "/h"}) == Path("/n/author-key.hex")
    assert author_key_path({"NOETHER_HOME": "", "HOME": "/h"}) == Path("/h/.noether/author-key.hex")
    assert author_key_path({}) == Path(".noether/author-key.hex")


def test_a_missing_key_file_is_no_key(tmp_path: Path) -> None:
    assert read_key(tmp_path / "author-key.hex") is None


def test_a_key_is_made_once_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "author-key.hex"
    key = create_key(path)
    assert read_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert not is_readable_by_others(path)
    with pytest.raises(KeyFileError, match="is there already"):
        create_key(path)
    path.write_text(f"  {path.read_text()}\n")
    assert read_key(path) == key
    path.chmod(0o644)
    assert is_readable_by_others(path)


@pytest.mark.parametrize("content", [b"", b"abc", b"zz" * 32, b"00" * 31, b"\xff" * 64])
def test_a_corrupt_key_file_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "author-key.hex"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=str(path)):
        read_key(path)
    assert path.read_bytes() == content


def test_the_seed_never_shows() -> None:
    assert STDLIB.seed.hex() not in repr(STDLIB)


def test_reading_records_does_not_import_the_cryptography_package() -> None:
    code = (
        "import sys, noether_runner.stages.stage, noether_runner.stages.verify;"
        "assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
