"""torchvision's names: what is there is the core's, what is not says what is nearest."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn import data, tensor
from tinygrad_cnn.torchvision import datasets, io, models, ops, transforms, utils
from tinygrad_cnn.torchvision.transforms import v2

# Public names of torchvision 0.29, that scripts use.
TRANSFORMS = [
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "ElasticTransform",
    "FiveCrop",
    "GaussianBlur",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "LinearTransformation",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomOrder",
    "RandomPerspective",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "TrivialAugmentWide",
    "functional",
    "v2",
]
FUNCTIONS = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]
DATASETS = [
    "CIFAR10",
    "CIFAR100",
    "Caltech101",
    "CelebA",
    "Cityscapes",
    "CocoDetection",
    "DatasetFolder",
    "EMNIST",
    "FakeData",
    "FashionMNIST",
    "Flowers102",
    "Food101",
    "ImageFolder",
    "ImageNet",
    "Imagenette",
    "KMNIST",
    "LSUN",
    "MNIST",
    "Omniglot",
    "QMNIST",
    "STL10",
    "SVHN",
    "USPS",
    "VOCSegmentation",
    "VisionDataset",
]
ABSENT = {
    "transforms": ("AugMix ElasticTransform"),
    "transforms.functional": ("elastic_transform get_image_num_channels"),
    "datasets": (
        "Caltech101 CelebA Cityscapes CocoDetection Flowers102 Food101 ImageNet Imagenette LSUN "
        "Omniglot QMNIST STL10 SVHN USPS VOCSegmentation"
    ),
    "utils": "draw_bounding_boxes draw_keypoints flow_to_image",
    "models": "swin_t detection",
}
NAMES = {
    "transforms": TRANSFORMS,
    "transforms.functional": FUNCTIONS,
    "datasets": DATASETS,
    "utils": ["make_grid", "save_image", "draw_bounding_boxes", "draw_keypoints", "flow_to_image"],
    "models": ["resnet18", "vgg16", "ResNet18_Weights", "swin_t", "detection"],
}


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_here_or_says_what_is_nearest(module: str) -> None:
    door = importlib.import_module(f"tinygrad_cnn.torchvision.{module}")
    missing = {name for name in NAMES[module] if not hasattr(door, name)}
    assert missing == set(ABSENT[module].split())
    for name in missing:
        with pytest.raises(
            AttributeError, match=rf"^torchvision\.{module}\.{name} is not here; \w+"
        ):
            getattr(door, name)
    with pytest.raises(AttributeError, match="has no attribute '__path_of_nothing__'"):
        getattr(door, "__path_of_nothing__")  # noqa: B009


def test_the_door_hands_on_the_core() -> None:
    assert datasets.MNIST is data.datasets.MNIST
    assert transforms.Normalize is v2.Normalize is data.transforms.Normalize
    assert utils.make_grid is data.make_grid
    assert ops.StochasticDepth(0.5, "row").p == 0.5
    assert models.resnet18.__name__ == "resnet18"


def test_the_newer_names() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(4, 5, 3), dtype=np.uint8)
    new = v2.Compose([v2.ToImage(), v2.ToDtype("float32", scale=True), v2.ToPureTensor()])
    old = transforms.ToTensor()
    np.testing.assert_array_equal(new(pixels).numpy(), old(pixels).numpy())
    plain = v2.ToDtype("float64")(v2.ToImage()(pixels))
    assert plain.dtype == np.float64
    assert plain.numpy().max() > 1


def test_files_of_images(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    pixels = tensor(np.random.default_rng(0).integers(256, size=(3, 4, 5), dtype=np.uint8))
    io.write_png(pixels, tmp_path / "x.png")
    np.testing.assert_array_equal(io.read_image(tmp_path / "x.png").numpy(), pixels.numpy())
    assert io.read_image(tmp_path / "x.png", io.ImageReadMode.GRAY).shape == (1, 4, 5)
    io.write_jpeg(pixels[:1], tmp_path / "x.jpg", quality=90)
    assert io.read_image(tmp_path / "x.jpg", "RGB").shape == (3, 4, 5)
    with pytest.raises(TypeError, match="write_png: expects pixels of uint8, got float32"):
        io.write_png(tensor([[[1.0]]]), tmp_path / "y.png")
    with pytest.raises(AttributeError, match=r"torchvision\.io\.read_video is not here"):
        io.read_video  # noqa: B018
