"""Peers are imported as `remote.peers`; importmode importlib adds nobody's place."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
