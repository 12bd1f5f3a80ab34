"""Networks on the processor, run by OpenVINO: one core for each call."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.files import existing_file
from facelink.photos.extras import OptionalModule

# Importing openvino reports the import to its makers by way of openvino_telemetry; where that
# module is missing it reports nothing.
openvino: Any = OptionalModule("openvino", without="openvino_telemetry")


class Network:
    """A network in OpenVINO's format or in ONNX; several threads may run it at once.

    A call computes on one core, in float32, and in buffers of the calling thread, so what
    it gives does not depend on how many run.

    Parameters
    ----------
    what : str
        Names the network in errors: ``"recogniser"``.
    path : Path
        Its .xml (with the .bin beside it) or .onnx file.
    takes : str
        Says in errors what it is given: ``"one image of 112 × 112 pixels"``.
    fit : callable
        Given OpenVINO's model, makes it take that, and returns it.
    n_threads : int, optional
        Calls that may run at a time without waiting; by default as many as there are
        processors.

    Raises
    ------
    InputError
        If OpenVINO cannot load it.
    """

    def __init__(
        self,
        what: str,
        path: Path,
        takes: str,
        fit: Callable[[Any], Any],
        n_threads: int | None = None,
    ) -> None:
        n_threads = n_threads or os.cpu_count() or 1
        settings = {
            "INFERENCE_NUM_THREADS": n_threads,
            "NUM_STREAMS": n_threads,
            "INFERENCE_PRECISION_HINT": "f32",
            # Two networks whose threads are pinned share a core while another stands still.
            "ENABLE_CPU_PINNING": False,
            # Code compiled for sizes of images; of 5,000 pieces, the default, memory would grow on.
            "CPU_RUNTIME_CACHE_CAPACITY": 1000,
        }
        self._of_thread = threading.local()
        path = existing_file(path, what)
        try:
            core = openvino.Core()
            model = fit(core.read_model(str(path)))
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise InputError(
                f"{what} {path}: OpenVINO {openvino.__version__} cannot load it as a network of "
                f"{takes} ({error}); give the file as its makers publish it."
            ) from error

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Compute the outputs, by each of their names, in the network's order.

        The next call of the same thread overwrites them.

        Parameters
        ----------
        values
            C-contiguous, of the shape and dtype that the network was fitted to.
        """
        request = self._request()
        request.infer([values], share_inputs=True)
        return {
            name: request.get_tensor(output).data
            for output in self._compiled.outputs
            for name in sorted(output.names) or [""]
        }

    def _request(self) -> Any:
        """Return the calling thread's own buffers for the network's values."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        return self._of_thread.request
