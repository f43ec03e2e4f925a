"""A test run against a module with one piece of its source changed: it must fail, or it proves nothing.

The module is made anew from the changed source, and the test's file is read anew on top of it, so that every name in
the test is the changed module's. Nothing of it stays when the test is over.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent


def fails(test_file: str, test_name: str) -> bool:
    """Whether that test fails, with at least one of its parameter sets, on the modules as they are imported now."""
    module = _read(HERE / test_file, f"tests.core.mutated_{Path(test_file).stem}")
    test = getattr(module, test_name)
    return any(_raises(test, arguments) for arguments in _parameter_sets(test))


@contextmanager
def mutated(name: str, old: str, new: str) -> Iterator[None]:
    """With that module's source changed in one place, for whoever imports it inside."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{name} has {source.count(old)} places that read {old!r}; the mutant names one"
    ours = {key for key in sys.modules if key.split(".")[0] == "desired_state" or key.startswith("tests.core")}
    saved = {key: sys.modules.pop(key) for key in ours}
    try:
        importlib.import_module("desired_state")
        module = ModuleType(name)
        module.__file__ = spec.origin
        sys.modules[name] = module
        exec(compile(source.replace(old, new), spec.origin, "exec"), module.__dict__)  # noqa: S102
        setattr(sys.modules["desired_state"], name.rpartition(".")[2], module)
        yield
    finally:
        for key in [key for key in sys.modules if key.split(".")[0] == "desired_state" or key.startswith("tests.core")]:
            del sys.modules[key]
        sys.modules.update(saved)


def _read(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _parameter_sets(test: Any) -> list[dict[str, Any]]:
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    sets: list[dict[str, Any]] = [{}]
    for mark in marks:
        names = mark.args[0] if isinstance(mark.args[0], tuple) else (mark.args[0],)
        rows = [row if len(names) > 1 else (row,) for row in mark.args[1]]
        sets = [one | dict(zip(names, row, strict=True)) for one in sets for row in rows]
    return sets


def _raises(test: Any, arguments: dict[str, Any]) -> bool:
    try:
        test(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a failed pytest.raises is no Exception
        return True
    return False
