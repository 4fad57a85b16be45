"""Algorithms: the networks of an agent, the losses that train them, and how it acts."""

from composer.algorithms.augmentation import Augmentation, Intensity, RandomShift
from composer.algorithms.base import Algorithm
from composer.algorithms.behaviour_cloning import BehaviourCloning
from composer.algorithms.ddpg_td3 import DDPG, TD3
from composer.algorithms.discount import Constant, Discount, EpisodeLength, Lengthening
from composer.algorithms.dqn import DQN
from composer.algorithms.dreamer import DreamerV3
from composer.algorithms.iql import IQL
from composer.algorithms.metra import METRA
from composer.algorithms.mppi import MPPI
from composer.algorithms.mr_q import MRQ
from composer.algorithms.normalization.task_scaling import BRCScaling
from composer.algorithms.on_policy import OnPolicy
from composer.algorithms.ppo import PPO
from composer.algorithms.pqn import PQN
from composer.algorithms.sac import SAC
from composer.algorithms.spr import SPR
from composer.algorithms.supervised import Supervised
from composer.algorithms.td7 import TD7
from composer.algorithms.tdmpc2 import TDMPC2

__all__ = [
    "DDPG",
    "DQN",
    "IQL",
    "METRA",
    "MPPI",
    "MRQ",
    "PPO",
    "PQN",
    "SAC",
    "SPR",
    "TD3",
    "TD7",
    "TDMPC2",
    "Algorithm",
    "Augmentation",
    "BRCScaling",
    "BehaviourCloning",
    "Constant",
    "Discount",
    "DreamerV3",
    "EpisodeLength",
    "Intensity",
    "Lengthening",
    "OnPolicy",
    "RandomShift",
    "Supervised",
]
