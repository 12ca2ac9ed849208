"""What a program's files take on the disk."""

import math
import os

PAGE = 4096  # what an empty file or folder counts, so that their number is bounded too


def disk_space(folder, most):
    """Bytes of all files below `folder`; not much beyond `most` is counted, and no link is followed.

    Infinite where something cannot be listed: a path too long, a folder made without the right to.
    """
    total = 0
    folders = [folder]
    for one in folders:
        try:
            with os.scandir(one) as entries:
                for entry in entries:
                    total += size(entry)
                    if total > most:
                        return total
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError:
            return math.inf
    return total


def size(entry):
    try:
        return max(PAGE, 512 * entry.stat(follow_symlinks=False).st_blocks)
    except FileNotFoundError:
        return 0
