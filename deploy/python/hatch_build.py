"""Puts the packaged binary into the wheel, whose tag then names the platform."""

import os
import pathlib
import sysconfig
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BINARY = "PROSCENIUM_BINARY"
PLATFORM = "PROSCENIUM_WHEEL_PLATFORM"


class PackagedBinary(BuildHookInterface):
    """The binary is the file that the variable PROSCENIUM_BINARY names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        binary = pathlib.Path(os.environ.get(BINARY, ""))
        if not binary.is_file():
            raise RuntimeError(f"{BINARY} must name the packaged binary; `cargo package-wheel` builds it and the wheel")
        # An index of packages wants the tag of the oldest system that the binary runs on, such as manylinux_2_36_x86_64.
        platform = os.environ.get(PLATFORM) or sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
        license = pathlib.Path(self.root).parents[1] / "LICENSE"
        build_data["force_include"][str(license)] = "proscenium/LICENSE"
        build_data["force_include"][str(binary)] = f"proscenium/bin/proscenium{binary.suffix}"
