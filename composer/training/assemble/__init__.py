"""From a blueprint, or the directory of a run, to everything that trains.

The only room of training that reads whole blueprints: it gives each part what it needs. ``new_run`` starts runs,
``resumed_run`` continues them, ``forked_run`` branches them off, ``side_by_side`` starts several in one program.
"""

from composer.training.assemble.forked_run import branched, fork, fork_facts
from composer.training.assemble.make_session import evaluator, learner_of, surgery_of
from composer.training.assemble.new_run import create, start
from composer.training.assemble.origin import Origin, read_origin
from composer.training.assemble.process import choose, device_for, set_up
from composer.training.assemble.resumed_run import NotTheSame, agent, resume
from composer.training.assemble.side_by_side import start_together

__all__ = [
    "NotTheSame",
    "Origin",
    "agent",
    "branched",
    "choose",
    "create",
    "device_for",
    "evaluator",
    "fork",
    "fork_facts",
    "learner_of",
    "read_origin",
    "resume",
    "set_up",
    "start",
    "start_together",
    "surgery_of",
]
