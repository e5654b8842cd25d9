"""Run the command line: ``python -m pcan_pose``, and under torchrun ``torchrun -m pcan_pose train ...``."""

from pcan_pose.cli import main

main()
