"""The command `proscenium`: the binary that the package carries."""

import os
import subprocess
import sys

from proscenium._binary import binary_path


def main() -> None:
    """Runs the binary with the arguments of this process, and ends with its exit code."""
    command = [str(binary_path()), *sys.argv[1:]]
    if os.name == "posix":
        os.execv(command[0], command)
    sys.exit(subprocess.call(command))


if __name__ == "__main__":
    main()
