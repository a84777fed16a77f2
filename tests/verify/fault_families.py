"""All operations with the faults put into them; a new family is one line here."""

from __future__ import annotations

from tests.verify import (
    fault_arrays,
    fault_layers,
    fault_matrices,
    fault_resampling,
    fault_sites,
    fault_units,
)
from tests.verify.faults import Site

SITES: list[Site] = [
    *fault_sites.SITES,
    *fault_layers.SITES,
    *fault_arrays.SITES,
    *fault_matrices.SITES,
    *fault_resampling.SITES,
    *fault_units.SITES,
]
