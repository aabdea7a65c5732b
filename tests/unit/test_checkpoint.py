"""A checkpoint comes back bit for bit, or is refused with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from ganbalance.errors import DataError
from ganbalance.training import checkpoint


def same(left: Any, right: Any) -> bool:
    """Equal in type, structure, dtype and bits; -0.0 is not 0.0 and NaN is NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, Tensor):
        alike = left.dtype == right.dtype and left.shape == right.shape
        return alike and left.numpy().tobytes() == right.numpy().tobytes()
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


def round_trip(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    checkpoint.save(path, state, key="k")
    return checkpoint.load(path, key="k")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


def test_nested_values_come_back_as_they_were(path: Path) -> None:
    state = {
        "scalars": [1, -0.0, 0.1 + 0.2, float("nan"), float("inf"), True, None, "tensor", 2**70],
        "nested": {"tuple": (1, (2.0, [])), 3: {"int key": {}}, "": torch.tensor(7)},
        "tensors": [
            torch.tensor([-0.0, float("nan")]),
            torch.arange(6, dtype=torch.uint8).view(2, 3),
            torch.tensor(True),
            torch.zeros(0, 3),
            torch.tensor([2**62]),
        ],
    }
    assert same(round_trip(path, state), state)


def test_strided_and_shared_tensors_come_back_with_their_values(path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    state = {"whole": base, "same": base, "turned": base.T, "part": base[1:, ::2]}
    assert same(round_trip(path, state), {key: value.contiguous() for key, value in state.items()})


def test_an_optimizer_goes_on_as_if_never_saved(path: Path) -> None:
    def steps(layer: nn.Module, optimizer: torch.optim.Optimizer, inputs: list[Tensor]) -> None:
        for x in inputs:
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()

    inputs = [torch.randn(3, 5, generator=Generator().manual_seed(step)) for step in range(6)]
    layer, copy = nn.Linear(5, 4), nn.Linear(5, 4)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, betas=(0.5, 0.9))
    steps(layer, optimizer, inputs[:3])
    saved = {"layer": dict(layer.state_dict()), "optimizer": optimizer.state_dict()}
    loaded = round_trip(path, saved)
    assert same(loaded, saved)
    other = torch.optim.Adam(copy.parameters())
    copy.load_state_dict(loaded["layer"])
    other.load_state_dict(loaded["optimizer"])
    steps(layer, optimizer, inputs[3:])
    steps(copy, other, inputs[3:])
    assert same(dict(copy.state_dict()), dict(layer.state_dict()))


def test_a_random_generator_goes_on_as_if_never_saved(path: Path) -> None:
    rng = Generator().manual_seed(4)
    torch.randn(7, generator=rng)
    other = Generator()
    other.set_state(round_trip(path, {"rng": rng.get_state()})["rng"])
    assert torch.equal(torch.randn(9, generator=rng), torch.randn(9, generator=other))


def test_a_checkpoint_of_another_stage_is_refused_naming_both(path: Path) -> None:
    checkpoint.save(path, {"step": 1}, key="key-of-mine")
    with pytest.raises(DataError, match=r"key-of-mine.*key-of-another"):
        checkpoint.load(path, key="key-of-another")


def test_every_cut_is_noticed(path: Path) -> None:
    checkpoint.save(path, {"x": torch.arange(4.0), "y": torch.arange(3)}, key="k")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            checkpoint.load(path, key="k")


def test_a_flipped_bit_is_noticed_or_changes_nothing(path: Path) -> None:
    state = {"step": 3, "x": torch.arange(4.0), "y": [torch.arange(3), 0.5]}
    checkpoint.save(path, state, key="k")
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        for bit in (0, 5):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
            try:
                assert same(checkpoint.load(path, key="k"), state)
            except DataError:
                noticed += 1
    assert noticed >= 2 * len(whole) - 20  # all but header padding


def test_every_flipped_bit_of_a_tensor_is_noticed(path: Path) -> None:
    checkpoint.save(path, {"x": torch.arange(4.0)}, key="k")
    whole = path.read_bytes()
    for place in range(len(whole) - 16, len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
            with pytest.raises(DataError, match="damaged"):
                checkpoint.load(path, key="k")


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        checkpoint.load(path, key="k")


def test_safetensors_of_another_program_are_refused(path: Path) -> None:
    header = json.dumps({"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x01")
    with pytest.raises(DataError, match="not written by ganbalance"):
        checkpoint.load(path, key="k")


def test_a_missing_file_is_bad_data(path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        checkpoint.load(path, key="k")


def test_saving_replaces_the_old_file_and_leaves_no_other(path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(path, {"step": step}, key="k")
    assert checkpoint.load(path, key="k") == {"step": 2}
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_save_keeps_the_old_file(path: Path) -> None:
    checkpoint.save(path, {"step": 1}, key="k")
    with pytest.raises(TypeError, match="cannot hold set"):
        checkpoint.save(path, {"step": {2}}, key="k")
    assert checkpoint.load(path, key="k") == {"step": 1}
