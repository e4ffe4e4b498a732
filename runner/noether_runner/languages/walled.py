"""What a person should be told of a sandbox's effects: a failure that smells of it, lost files."""

import re

_SMELLS_OF_WALLS = re.compile(
    r"FileNotFoundError|PermissionError|No such file or directory|[Pp]ermission denied|"
    r"Operation not permitted|Read-only file system|\bE(?:NOENT|ACCES|PERM|ROFS|NETUNREACH)\b|"
    r"Network is unreachable|name resolution|\bEAI_AGAIN\b|getaddrinfo"
)


def hint(backend: str, message: str) -> str:
    """The sentence for a failure that walls may have caused; empty where they hardly have."""
    if backend == "none" or not _SMELLS_OF_WALLS.search(message):
        return ""
    return (
        f"The stage runs in a sandbox ({backend}) that holds only what it declares: if it needs "
        "more, declare the effect (FsRead, FsWrite, Network), or grant it in the job with fs_read, "
        "fs_write or network."
    )


def lost_files(count: int) -> str:
    """The warning about files that went with a private home."""
    return (
        f"discarded_files: {count} (written to the stage's private home, which is gone; to keep "
        "such files, grant a folder with fs_write and name it in env)"
    )
