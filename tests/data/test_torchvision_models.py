"""torchvision's networks: parameters by its names, logits that agree, weights that are verified."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import nn, no_grad, tensor
from tinygrad_cnn.data import DownloadError
from tinygrad_cnn.torchvision import models
from tinygrad_cnn.torchvision.models import weights as weights_module

# Parameters and entries of the state_dict, as torchvision 0.29 has them.
SIZES = {
    "alexnet": (61_100_840, 16),
    "resnet18": (11_689_512, 122),
    "resnet50": (25_557_032, 320),
    "resnext50_32x4d": (25_028_904, 320),
    "wide_resnet50_2": (68_883_240, 320),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    network = getattr(models, name)()
    count = sum(parameter.numel() for parameter in network.parameters())
    assert (count, len(network.state_dict())) == SIZES[name]


def small(**options: Any) -> Any:
    """A ResNet small enough for every test."""
    return models.ResNet(models.BasicBlock, (1, 1, 1, 1), num_classes=4, **options)


def test_logits_of_any_size_of_image() -> None:
    network = small(zero_init_residual=True)
    network.eval()
    assert float(network.layer1[0].bn2.weight.numpy().max()) == 0
    with no_grad():
        assert network(tensor(np.zeros((2, 3, 40, 56), np.float32))).shape == (2, 4)
    names = [name for name, _ in network.named_children()]
    assert names[:4] == ["conv1", "bn1", "relu", "maxpool"]
    assert names[4:] == ["layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]
    assert "layer1.0.downsample.0.weight" not in network.state_dict()
    assert "layer2.0.downsample.0.weight" in network.state_dict()
    with pytest.raises(ValueError, match="BasicBlock: groups is 1 and base_width 64"):
        small(groups=2)


def test_a_body_built_of_the_parts() -> None:
    """All layers but the last, with another first one, serve in a network of one's own."""
    network = small()
    network.conv1 = nn.Conv2d(1, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False)
    body = nn.Sequential(*(list(network.children())[:-1]))
    images = tensor(np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32))
    features = body(images)
    features = features.view(features.size()[0], -1)
    assert features.shape == (3, network.fc.in_features)
    network.fc = nn.Identity()
    np.testing.assert_array_equal(network(images).numpy(), features.numpy())
    features.square().mean().backward()
    assert all(parameter.grad is not None for parameter in body.parameters())


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, bytes]:
    """The published weights of a network, and the file's content."""
    made = nn.Linear(3, 2)
    made.save_weights(tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    kind = weights_module.weights_enum(
        "Small_Weights", f"small-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    )
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path / "cache"))
    return kind, content


def test_weights_are_fetched_once_and_verified(
    published: tuple[Any, bytes], server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, content = published
    name = kind.DEFAULT.value
    monkeypatch.setattr(kind.file, "__defaults__", ((server.url,),))
    server.routes = {f"/{name}": [b"something else", content]}
    with pytest.raises(DownloadError, match="is not the published"):
        weights_module.with_weights(nn.Linear(3, 2), kind, "DEFAULT")
    for chosen in ("DEFAULT", kind.IMAGENET1K_V1, "IMAGENET1K_V1"):
        network = weights_module.with_weights(nn.Linear(3, 2), kind, chosen)
    assert server.requests[f"/{name}"] == 2
    expected = weights_module.with_weights(nn.Linear(3, 2), kind, None, pretrained=True)
    for key, value in network.state_dict().items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(expected.state_dict()[key]))


def test_weights_where_pytorch_keeps_them(published: tuple[Any, bytes], tmp_path: Path) -> None:
    kind, content = published
    kept = tmp_path / "torch" / "hub" / "checkpoints" / kind.DEFAULT.value
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    assert kind.DEFAULT.file() == kept
    kept.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="is not the published small-"):
        kind.DEFAULT.file()


def test_weights_of_a_file_or_of_another_network(
    published: tuple[Any, bytes], tmp_path: Path
) -> None:
    kind, _ = published
    weights_module.with_weights(nn.Linear(3, 2), kind, str(tmp_path / "w.pth"))
    with pytest.raises(FileNotFoundError):
        weights_module.with_weights(nn.Linear(3, 2), kind, "nowhere.pth")
    with pytest.raises(ValueError, match="are weights of another network; Small_Weights has"):
        weights_module.with_weights(nn.Linear(3, 2), kind, models.VGG16_Weights.DEFAULT)
    with pytest.raises(ValueError, match="expected None, IMAGENET1K_V1, DEFAULT or the path"):
        weights_module.with_weights(nn.Linear(3, 2), kind, 3)
    assert models.ResNet50_Weights.DEFAULT is models.ResNet50_Weights.IMAGENET1K_V2
    assert models.VGG16_Weights.DEFAULT.url.endswith("/vgg16-397923af.pth")


def test_what_makes_input_of_an_image() -> None:
    prepare = models.ResNet18_Weights.DEFAULT.transforms()
    assert prepare(np.zeros((300, 400, 3), np.uint8)).shape == (3, 224, 224)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg13_bn", "resnet18", "resnext50_32x4d"])
def test_beside_torchvision(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    try:
        theirs = importlib.import_module("torchvision.models")
    except Exception as error:  # of another build than PyTorch's it raises what it likes
        pytest.skip(f"torchvision cannot be imported: {error}")
    torch.manual_seed(0)
    other, mine = (getattr(module, name)(num_classes=10).eval() for module in (theirs, models))
    assert list(mine.state_dict()) == list(other.state_dict())
    assert [n for n, _ in mine.named_children()] == [n for n, _ in other.named_children()]
    torch.save(other.state_dict(), tmp_path / "w.pth")
    mine.load_weights(tmp_path / "w.pth")
    x = np.random.default_rng(0).standard_normal((1, 3, 96, 96)).astype(np.float32)
    with no_grad():
        logits = mine(tensor(x)).numpy()
    expected = other(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * abs(expected).max())
    public = {n for n in dir(theirs) if n.lower() == f"{name}_weights"}
    for kind in public:
        for member, value in getattr(theirs, kind).__members__.items():
            if member in ("IMAGENET1K_V1", "IMAGENET1K_V2", "DEFAULT"):
                assert value.value.url == getattr(models, kind)[member].url
