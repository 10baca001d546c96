"""Small real wheels."""

import hashlib
import io
import zipfile

__all__ = ["sha256", "wheel_of"]


def wheel_of(
    name: str,
    version: str,
    members: dict[str, bytes],
    *,
    requires: str = "",
    compress: bool = False,
) -> bytes:
    """A wheel with these files in its package, and perhaps a dependency."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    if requires:
        metadata += f"Requires-Dist: {requires}\n"
    data = io.BytesIO()
    with zipfile.ZipFile(
        data, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    ) as archive:
        for member, content in members.items():
            archive.writestr(f"{name}/{member}", content)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return data.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
