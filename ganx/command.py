"""What every module of verbs needs.

A package adds verbs to the `ganx` command by a module `ganx.<package>.verbs` with `ORDER`, its place in the help, and
`add(verbs)`. A verb's parser sets `run`, a function of the parsed arguments.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Descriptions as they are written, and the default of every option."""
