"""Data sets: labelled samples for supervised learning. Importing this package registers every kind; none loads data."""

from composer.environments.labelled.datasets.base import Data, DataInfo, DataUnusable, Samples
from composer.environments.labelled.datasets.bits import Bits
from composer.environments.labelled.datasets.cifar import Cifar
from composer.environments.labelled.datasets.digits import Digits
from composer.environments.labelled.datasets.generated_images import GeneratedImages
from composer.environments.labelled.datasets.noise import Noise
from composer.environments.labelled.datasets.teacher import Teacher
from composer.environments.labelled.datasets.tiny_imagenet import TinyImageNet

__all__ = [
    "Bits",
    "Cifar",
    "Data",
    "DataInfo",
    "DataUnusable",
    "Digits",
    "GeneratedImages",
    "Noise",
    "Samples",
    "Teacher",
    "TinyImageNet",
]
