"""Build the wheel, install it into an environment of its own and use it (`make wheel-check`)."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USE = """
import importlib.resources, pathlib, facelink
package = pathlib.Path(facelink.__file__).parent
assert "site-packages" in str(package) and (package / "py.typed").exists(), package
from facelink.cli import main
main(["synth", "--out", "made-up", "--faces", "200", "--dim", "16", "--json"])
"""


def run(*command: str, cwd: Path) -> None:
    """Run a command; its failure is the check's failure."""
    subprocess.run(command, cwd=cwd, check=True)


def main() -> None:
    """Build, install without dependencies beside the ones already here, and run a command."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run(
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder,
            str(ROOT), cwd=ROOT,
        )  # fmt: skip
        wheel = next(place.glob("facelink-*.whl"))
        run(sys.executable, "-m", "venv", str(place / "env"), cwd=place)
        python = place / "env" / "bin" / "python"
        run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel), cwd=place)
        site = next((place / "env" / "lib").glob("python*/site-packages"))
        own = next((Path(sys.prefix) / "lib").glob("python*/site-packages"))
        (site / "dependencies.pth").write_text(f"{own}\n")
        run(str(python), "-W", "error", "-c", USE, cwd=place)
        run(str(place / "env" / "bin" / "facelink"), "--version", cwd=place)
    print("wheel check: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
