"""The program of a learning process, started by `daf.core._distributed_learner`."""

import pickle
import signal
import sys
from multiprocessing.connection import Connection

from daf.processes import lifeline


def main() -> None:
    """Serve the trainer whose pipe and lifeline are the inherited descriptors in the arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer handles Ctrl-C and ends its processes
    lifeline.end_with(int(sys.argv[2]))
    pipe = Connection(int(sys.argv[1]))
    sys.path[:] = pickle.loads(pipe.recv_bytes())
    from daf.game import compat

    compat.install()
    from daf.core._distributed_learner import Part, serve

    part: Part = pickle.loads(pipe.recv_bytes())
    serve(pipe, part)


if __name__ == "__main__":
    main()
