"""The claim: the readable NumPy that chainrule prints and runs is near what one writes by hand.

Each workload trains the same network from the same weights on the same rows in the same order,
once with the reference executor and once with NumPy written by hand (chainrule/cli/by_hand.py),
an epoch of one after an epoch of the other. Figures are medians over epochs of the time per
training step, gathering the rows and updating the weights included. Where the final losses differ
the figures are void and the exit code is 1.

    python benchmarks/reference_step.py [--epochs N] [--json]

is the same as `chainrule bench`.
"""

import sys

from chainrule.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
