import subprocess
import sys

import pytest

from facelink.errors import InputError
from facelink.photos.extras import OptionalModule


def test_attributes_are_those_of_the_module():
    assert OptionalModule("math").pi == pytest.approx(3.14159, abs=1e-5)


def test_a_module_that_is_not_installed():
    missing = OptionalModule("no_such_module.inside", "heif")
    with pytest.raises(InputError, match=r"need no_such_module.*pip install 'facelink\[heif\]'"):
        _ = missing.anything


def test_a_hidden_module_is_not_imported_and_is_there_again_later():
    hiding = OptionalModule("xmlrpc.client", without="no_such_module")
    assert hiding.ServerProxy
    assert "no_such_module" not in sys.modules


def test_extras_are_imported_at_first_use_and_openvino_without_what_reports_it():
    code = (
        "import sys, facelink.photos.pipeline, facelink.photos.networks as networks\n"
        "def loaded(*names): return [name for name in names if name in sys.modules]\n"
        "before = loaded('cv2', 'openvino', 'pillow_heif', 'PIL.Image')\n"
        "assert networks.openvino.Core\n"
        "print(before, loaded('openvino', 'openvino_telemetry'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['openvino']"
