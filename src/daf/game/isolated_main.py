"""`python -m daf.game.isolated_main REQUEST ANSWER`: the process that `daf.game.isolated` starts."""

import sys

from daf.game.isolated import main

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
