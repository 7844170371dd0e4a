"""The table of backbones: how each is built, normalised, and where a head may tap it."""

from stemcls.models.backbones.row import Backbone, Normalisation
from stemcls.models.backbones.table import BACKBONES, backbone_named

__all__ = ["BACKBONES", "Backbone", "Normalisation", "backbone_named"]
