"""From a blueprint, or the directory of a run, to everything that trains.

The only room of training that reads whole blueprints: it gives each part what it needs. ``new_run`` starts runs,
``resumed_run`` continues them, ``forked_run`` branches them off, ``side_by_side`` does both for several in one program.
"""

from composer.training.assemble.forked_run import branched, fork, fork_facts
from composer.training.assemble.make_session import make_evaluator, make_surgery, restored_learner
from composer.training.assemble.new_run import create, decisive, start
from composer.training.assemble.origin import Origin, read_origin
from composer.training.assemble.process import choose_compilation, device_for, set_up_process
from composer.training.assemble.restoring import restoring
from composer.training.assemble.resumed_run import NotTheSame, load_agent, resume
from composer.training.assemble.side_by_side import NewRun, resume_together, start_together

__all__ = [
    "NewRun",
    "NotTheSame",
    "Origin",
    "branched",
    "choose_compilation",
    "create",
    "decisive",
    "device_for",
    "fork",
    "fork_facts",
    "load_agent",
    "make_evaluator",
    "make_surgery",
    "read_origin",
    "restored_learner",
    "restoring",
    "resume",
    "resume_together",
    "set_up_process",
    "start",
    "start_together",
]
