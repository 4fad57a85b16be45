"""Data sets: labelled samples for supervised learning. Importing this package registers every kind; none loads data."""

from composer.datasets.base import Data, DataUnusable, Samples
from composer.datasets.bits import Bits
from composer.datasets.cifar import Cifar
from composer.datasets.digits import Digits
from composer.datasets.generated_images import GeneratedImages
from composer.datasets.noise import Noise
from composer.datasets.teacher import Teacher
from composer.datasets.tiny_imagenet import TinyImageNet

__all__ = [
    "Bits",
    "Cifar",
    "Data",
    "DataUnusable",
    "Digits",
    "GeneratedImages",
    "Noise",
    "Samples",
    "Teacher",
    "TinyImageNet",
]
