import pytest
import torch

from facelink.errors import InputError
from facelink.models.device import choose_device


@pytest.fixture
def n_gpus(monkeypatch):
    """Sets the number of CUDA devices that torch claims to have."""

    def claim(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    return claim


def test_auto_is_cuda_where_there_is_one_and_else_the_cpu(n_gpus):
    n_gpus(1)
    assert choose_device() == choose_device("auto") == torch.device("cuda")
    n_gpus(0)
    assert choose_device() == choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_a_device_that_is_there_by_its_name(n_gpus, name):
    n_gpus(2)
    assert choose_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("number", "name"), [(0, "cuda"), (0, "cuda:0"), (1, "cuda:1"), (2, "cuda:5")]
)
def test_a_gpu_that_is_not_there(n_gpus, number, name):
    n_gpus(number)
    message = f"device='{name}', but this machine has {number} CUDA devices; choose cpu or auto"
    with pytest.raises(InputError, match=message):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:one", "cuda:-1"])
def test_a_name_that_is_none(name):
    with pytest.raises(InputError, match=f"device='{name}'; choose auto, cpu, cuda or cuda:0"):
        choose_device(name)


@pytest.mark.parametrize("name", ["meta", "mps"])
def test_a_kind_of_device_that_is_not_supported(name):
    with pytest.raises(InputError, match=f"device='{name}' is not supported; choose auto, cpu"):
        choose_device(name)
