"""A plugin for pytest: lets boto 2 be imported by Python 3.12 and later, which lack what it and its copy of six were written for."""

import importlib
import sys
import types

if sys.version_info >= (3, 12):
    sys.modules.setdefault("imp", types.ModuleType("imp"))  # imported, and called only for boto's own plugins
    for name in ("", ".moves", ".moves.urllib", ".moves.urllib.parse", ".moves.urllib.error", ".moves.urllib.request",
                 ".moves.http_client", ".moves.queue", ".moves.configparser"):
        sys.modules["boto.vendored.six" + name] = importlib.import_module("six" + name)
