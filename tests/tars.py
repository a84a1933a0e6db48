"""Archives for tests of every tier. Knows nothing of Higgins."""

import io
import tarfile


def tar_of(**files: bytes) -> bytes:
    """A tar with these files in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
