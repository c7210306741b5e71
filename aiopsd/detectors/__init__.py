"""The bank: what is strange about a series, and how sure that is.

Members score a batch against what they had learned before it. A member is one file and one line
here; ``limit`` and ``watch`` make anomalies of scores.
"""

from aiopsd.detectors.absent import AbsentSettings
from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.burn import BurnSettings
from aiopsd.detectors.drift import DriftSettings
from aiopsd.detectors.flood import FloodSettings
from aiopsd.detectors.forecast import ForecastSettings
from aiopsd.detectors.halfspace import HalfspaceSettings
from aiopsd.detectors.novel import NovelSettings
from aiopsd.detectors.peer import PeerSettings
from aiopsd.detectors.share import ShareSettings
from aiopsd.detectors.step import StepSettings
from aiopsd.detectors.stopped import StoppedSettings
from aiopsd.detectors.threshold import ThresholdSettings

DetectorSettings = (
    BandSettings
    | ThresholdSettings
    | AbsentSettings
    | NovelSettings
    | BurnSettings
    | DriftSettings
    | ForecastSettings
    | PeerSettings
    | HalfspaceSettings
    | StepSettings
    | StoppedSettings
    | ShareSettings
    | FloodSettings
)

__all__ = ["DetectorSettings"]
