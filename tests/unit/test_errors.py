import pytest

from facelink.errors import FacelinkError, InputError, OutputError


@pytest.mark.parametrize(
    ("error", "builtin", "exit_code"), [(InputError, ValueError, 2), (OutputError, OSError, 1)]
)
def test_an_error_is_caught_by_its_builtin_kind_and_by_the_common_base(error, builtin, exit_code):
    for caught in (builtin, FacelinkError):
        with pytest.raises(caught, match="k=9 but the limit is 8"):
            raise error("k=9 but the limit is 8; lower k.")
    assert error.exit_code == exit_code


@pytest.mark.parametrize("error", [InputError, OutputError])
def test_an_error_prints_its_message_and_nothing_else(error):
    assert str(error("k=9 but the limit is 8; lower k.")) == "k=9 but the limit is 8; lower k."
