"""Every decoder of foreign bytes, by name."""

from __future__ import annotations

import fuzz_decisions
import fuzz_documents
import fuzz_files
import fuzz_native
import fuzz_tables
import fuzz_wire
from fuzz_target import Target

_MODULES = (fuzz_wire, fuzz_documents, fuzz_decisions, fuzz_files, fuzz_tables, fuzz_native)
TARGETS: dict[str, Target] = {target.name: target for module in _MODULES for target in module.TARGETS}
