"""Who packed a model: an Ed25519 signature of its record, which holds the checksums of all its files."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ctloupe.foundation.errors import FileError, MissingExtraError, ModelError
from ctloupe.foundation.inputs import require_plain_file
from ctloupe.foundation.records import load_record, save_record
from ctloupe.models.record import RECORD, SIGNATURE

Encoded = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+=*$", max_length=120)]


class Signature(BaseModel):
    """A signature as it lies beside the record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: Literal["ed25519"] = "ed25519"
    public_key: Encoded
    signature: Encoded


def sign(folder: Path, key: Path) -> None:
    """Sign the record in `folder` with a private key.

    Parameters
    ----------
    folder
        Folder of a packed model.
    key
        File with an Ed25519 key in PEM without a passphrase, as ``openssl genpkey -algorithm ed25519`` writes it.

    Raises
    ------
    FileError
        If the key cannot be read or is another.
    MissingExtraError
        If the extra ``sign`` is not installed.
    """
    serialization, ed25519 = _library()
    require_plain_file(key)
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except FileNotFoundError as error:
        raise FileError(f"{key}: no such file") from error
    except (ValueError, TypeError) as error:
        raise FileError(f"{key}: not an Ed25519 key in PEM without a passphrase") from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise FileError(f"{key}: a key of another kind; 'openssl genpkey -algorithm ed25519' makes the right one")
    public = private.public_key().public_bytes_raw()
    made = private.sign((folder / RECORD).read_bytes())
    save_record(folder / SIGNATURE, Signature(public_key=_text(public), signature=_text(made)))


def signer(folder: Path) -> str | None:
    """Return the public key of whoever signed the record in `folder`, in base64; None where nobody did.

    Raises
    ------
    ModelError
        If the signature does not fit the record.
    MissingExtraError
        If it is signed and the extra ``sign`` is not installed.
    """
    if not (folder / SIGNATURE).exists():
        return None
    found = load_record(folder / SIGNATURE, Signature, "signature of a packed model", "get the model again")
    _, ed25519 = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(b64decode(found.public_key))
        public.verify(b64decode(found.signature), (folder / RECORD).read_bytes())
    except (InvalidSignature, ValueError) as error:
        raise ModelError(f"{folder / SIGNATURE}: the signature is not that of {RECORD}; get the model again") from error
    return found.public_key


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingExtraError("signatures need cryptography; install it with: pip install 'ctloupe[sign]'") from error
    return serialization, ed25519


def _text(key: bytes) -> str:
    return b64encode(key).decode("ascii")
