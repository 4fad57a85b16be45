"""The table: names in stable-baselines3, CleanRL, Dopamine and their kin, our keys, and how values are converted.

A name is looked up where it is no key of ours. ``ROLE`` in a key stands for every network that is trained, every
optimizer, or every average that the algorithm reads. Tests: tests/errors/test_synonyms.py, which holds every key to the
schema and every conversion to a closed form; docs/guide/coming-from.md is compared with this table.
"""

from __future__ import annotations

from typing import NamedTuple

from composer.blueprint.checks.synonyms import conversions as to

ROLE = "ROLE"
"""Stands for roles in a key."""
TASK = "TASK"
"""Stands for the key that names an environment's task: ``task``, ``game``, ``id``."""

OFF = ("sac", "ddpg", "td3", "dqn")
DETERMINISTIC = ("ddpg", "td3")
CONTINUOUS = ("sac", *DETERMINISTIC)
CRITICS = (*CONTINUOUS, "ppo")
RL = (*OFF, "ppo", "pqn")
_PASSES = ("ppo", "pqn")


class Synonym(NamedTuple):
    """Names of other libraries for keys of ours, and the conversion of their values."""

    names: str
    """In snake case, separated by spaces."""
    keys: tuple[str, ...]
    """Our keys, each set to the converted value; empty where there is none."""
    value: to.Value = to.given
    why: str = ""
    """What the reader has to know about the value; or what to do, where there is no key."""
    kinds: tuple[str, ...] = ()
    """The algorithms for which this holds; empty for all."""
    within: str = ""
    """The table in which alone the name means this, such as ``environment``."""


_PER_INTERACTION = "updates per interaction, which is one decision of every environment copy"
_STEPS = "environment steps are counted with action repeat, and over all copies"
_EPSILON = "its schedule counts gradient updates; until the first one all actions are random"
_TARGET = "a schedule over gradient updates copies the network"
_LAYERS = "a trunk is a list of blocks, or a part"
_LEARNED = "SAC learns its temperature from there; optimizers.temperature.learning_rate = 1e-30 holds it"
_TRACKED = "every run is tracked by MLflow: leave it out, or write [tracking]"

SYNONYMS = (
    # The environment.
    Synonym("env env_id env_name environment_name environment_id game_name", ("environment.TASK",), to.name_beside,
            within="environment"),
    Synonym("name game id task domain_task", ("environment.TASK",), to.name_beside, within="environment"),
    Synonym("env env_id env_name environment_name environment_id game_name gym_id task", ("environment",),
            to.environment),
    Synonym("n_envs num_envs n_env num_environments nproc", ("environment.copies",), to.whole,
            "environments of one seed that are stepped together"),
    Synonym("env_kwargs", ("environment.kwargs",)),
    Synonym("frame_skip frameskip", ("environment.action_repeat",), to.whole),
    Synonym("frame_stack num_stack n_stack", ("environment.stack",), to.whole),
    Synonym("max_episode_steps max_ep_len", ("environment.episode_env_steps",), to.whole),
    # The algorithm.
    Synonym("gamma discount_factor discounting", ("algorithm.discount",), kinds=RL),
    Synonym("lr learning_rate step_size", ("optimizers.ROLE.learning_rate",), to.schedule,
            "every trained role has an optimizer of its own"),
    Synonym("actor_lr lr_actor policy_lr pi_lr policy_learning_rate", ("optimizers.actor.learning_rate",), to.schedule,
            kinds=CRITICS),
    Synonym("critic_lr lr_critic q_lr qf_lr vf_lr value_lr", ("optimizers.critic.learning_rate",), to.schedule,
            kinds=CRITICS),
    Synonym("temp_lr alpha_lr ent_coef_lr", ("optimizers.temperature.learning_rate",), to.schedule, kinds=("sac",)),
    Synonym("anneal_lr", ("optimizers.ROLE.learning_rate",), to.annealed, "a schedule over gradient updates"),
    Synonym("n_steps num_steps nsteps rollout_length horizon", ("algorithm.rollout_interactions",), to.whole,
            "interactions of a rollout; algorithm.batch_size times minibatches is its number of transitions",
            _PASSES),
    Synonym("n_steps update_horizon n_step_return multi_step nstep", ("algorithm.n_step",), to.whole, kinds=OFF),
    Synonym("n_epochs update_epochs num_epochs noptepochs", ("algorithm.epochs",), to.whole, kinds=_PASSES),
    Synonym("num_minibatches n_minibatch nminibatches", ("algorithm.minibatches",), to.whole, kinds=_PASSES),
    Synonym("clip_range clip_coef clip_epsilon clip_eps cliprange", ("algorithm.clip_ratio",), to.schedule,
            kinds=("ppo",)),
    Synonym("clip_range_vf clip_vloss vf_clip", ("algorithm.value_clip",), to.value_clip, kinds=("ppo",)),
    Synonym("lam lambda lmbda", ("algorithm.gae_lambda",), kinds=("ppo",)),
    Synonym("lam lambda lmbda", ("algorithm.q_lambda",), kinds=("pqn",)),
    Synonym("normalize_advantage norm_adv", ("algorithm.normalize_advantages",), kinds=("ppo",)),
    Synonym("ent_coef entropy_coef entropy_coeff entropy_regularization", ("algorithm.entropy_bonus",), kinds=("ppo",)),
    Synonym("vf_coef value_coef value_loss_coef", (), why="actor and critic are separate networks, each with an "
            "optimizer: leave it out, and set optimizers.critic.learning_rate", kinds=("ppo",)),
    Synonym("target_kl", (), why="epochs are not cut short by the divergence: leave it out; the metric actor/kl "
            "tells it", kinds=("ppo",)),
    Synonym("ent_coef alpha init_temperature initial_alpha init_alpha entropy_coef", ("algorithm.initial_temperature",),
            to.temperature, _LEARNED, ("sac",)),
    Synonym("autotune auto_alpha automatic_entropy_tuning", (), why="SAC always learns its temperature: leave it out",
            kinds=("sac",)),
    Synonym("target_entropy", ("algorithm.target_entropy_per_action",), to.per_action,
            "divided by the number of action dimensions", ("sac",)),
    Synonym("learning_starts min_replay_history start_training start_timesteps start_steps update_after",
            ("algorithm.warmup_interactions",), to.warmup, "random decisions of every copy", OFF),
    Synonym("gradient_steps train_freq train_frequency update_period",
            ("algorithm.update_to_data",), to.updates_to_data, _PER_INTERACTION, OFF),
    Synonym("utd_ratio utd updates_per_step replay_ratio", ("algorithm.update_to_data",), why=_PER_INTERACTION,
            kinds=OFF),
    Synonym("tau target_update_tau soft_update_tau", ("averages.ROLE.momentum",), to.one_minus,
            "1 - tau, the share that an update keeps", OFF),
    Synonym("polyak", ("averages.ROLE.momentum",), to.kept, "the share that an update keeps", OFF),
    Synonym("target_update_interval target_network_frequency target_network_update_freq target_update_period "
            "target_update_freq", ("averages.ROLE.momentum",), to.target_period, _TARGET, OFF),
    Synonym("exploration_fraction exploration_initial_eps exploration_final_eps start_e end_e", ("algorithm.epsilon",),
            to.exploration, _EPSILON, ("dqn",)),
    Synonym("epsilon_train epsilon_decay_period", ("algorithm.epsilon",), to.dopamine_epsilon, _EPSILON, ("dqn",)),
    Synonym("epsilon_eval eval_epsilon", ("algorithm.evaluation_epsilon",), kinds=("dqn", "pqn")),
    Synonym("double_dqn double_q use_double", ("algorithm.double",), kinds=("dqn",)),
    Synonym("policy_frequency policy_freq actor_update_interval", ("algorithm.policy_delay",), to.whole,
            kinds=DETERMINISTIC),
    Synonym("target_policy_noise policy_noise", ("algorithm.target_noise.std",), kinds=DETERMINISTIC),
    Synonym("target_noise_clip noise_clip", ("algorithm.target_noise.clip",), kinds=DETERMINISTIC),
    Synonym("exploration_noise expl_noise act_noise action_noise", ("algorithm.exploration.std",), kinds=DETERMINISTIC),
    # Networks and optimizers.
    Synonym("net_arch hidden_sizes hidden_dims hidden_layers", ("networks.ROLE.trunk",), to.trunk, _LAYERS),
    Synonym("activation_fn activation", ("networks.ROLE.trunk",), to.trunk, _LAYERS + ": activations are blocks, "
            'such as { kind = "relu" }'),
    Synonym("n_critics num_qs num_critics n_q", ("networks.critic.copies",), to.whole, kinds=CONTINUOUS),
    Synonym("max_grad_norm grad_clip clip_grad_norm gradient_clip", ("optimizers.ROLE.max_gradient_norm",),
            why="of each network's own gradient"),
    Synonym("eps adam_eps adam_epsilon", ("optimizers.ROLE.epsilon",), within="optimizers"),
    Synonym("policy policy_type", (), why='networks are written out: networks.ROLE.trunk = { use = "mlp" } and a head'),
    # The replay, the run and its measurements.
    Synonym("buffer_size replay_size replay_capacity memory_size replay_buffer_size", ("replay.capacity",), to.whole,
            kinds=OFF),
    Synonym("total_timesteps max_timesteps max_steps num_frames total_steps num_env_steps", ("training.env_steps",),
            to.env_steps, _STEPS),
    Synonym("num_iterations training_steps", ("training.env_steps",), to.dopamine_env_steps,
            f"iterations times steps; {_STEPS}"),
    Synonym("eval_freq eval_interval", ("evaluation.every",), to.calls_to_env_steps, _STEPS),
    Synonym("n_eval_episodes eval_episodes num_eval_episodes", ("evaluation.episodes",), to.whole),
    Synonym("save_freq checkpoint_interval", ("checkpoint.every",), to.calls_to_env_steps, _STEPS),
    Synonym("log_freq log_interval", ("training.log_every",), to.calls_to_env_steps, _STEPS),
    Synonym("seed random_seed", ("seeds",), to.seeds, "all seeds of a list are trained in one program"),
    Synonym("exp_name experiment_name run_name", ("name",)),
    Synonym("cuda use_cuda", ("compute.device",), to.device),
    Synonym("verbose", (), why="progress is always told: leave it out"),
    Synonym("track wandb_project_name wandb_entity tensorboard_log", (), why=_TRACKED),
    Synonym("capture_video", (), why="composer evaluate --video records episodes: leave it out"),
    Synonym("torch_deterministic", (), why="runs are reproducible as they are: leave it out"),
)  # fmt: skip
"""The first that fits a name, an algorithm and a table is taken."""

WRAPPERS = ("policy_kwargs", "optimizer_kwargs", "hyperparameters", "hyperparams", "agent", "agent_kwargs", "params")
"""Tables of other libraries around such keys."""
