"""Where the binary is."""

import os
import pathlib


def binary_path() -> pathlib.Path:
    """The path of the server's binary.

    >>> binary_path().stem
    'proscenium'
    """
    folder = pathlib.Path(__file__).parent / "bin"
    return folder / ("proscenium.exe" if os.name == "nt" else "proscenium")
