"""Modules of optional extras, imported at first use."""

import importlib
import sys
from types import ModuleType
from typing import Any

from facelink.errors import InputError


class OptionalModule:
    """A module that may not be installed; its attributes are looked up when used.

    So the package can be imported, and the other commands start, without it.

    Parameters
    ----------
    name : str
        As in an import statement: ``"cv2"``, ``"PIL.Image"``.
    extra : str
        The extra of facelink that brings it.
    without : str, optional
        A module that it would import as well and can do without. It is hidden meanwhile.
    """

    def __init__(self, name: str, extra: str = "photos", *, without: str | None = None) -> None:
        self._name = name
        self._extra = extra
        self._without = without
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        """Look it up in the module; `InputError` if that is not installed."""
        if self._module is None:
            self._module = self._imported()
        return getattr(self._module, attribute)

    def _imported(self) -> ModuleType:
        hidden = self._without is not None and self._without not in sys.modules
        if hidden:
            sys.modules[str(self._without)] = None  # type: ignore[assignment]
        try:
            return importlib.import_module(self._name)
        except ImportError as error:
            raise InputError(
                f"photographs need {self._name.partition('.')[0]}, which cannot be imported "
                f"({error}); install it with pip install 'facelink[{self._extra}]'."
            ) from error
        finally:
            if hidden:
                del sys.modules[str(self._without)]
