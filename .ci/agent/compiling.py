"""Compiles a tree, run by the Python of that tree: compiling.py ROOT

What is compiled is the same bytes each time: no path, no time and no hash of the machine gets into it. Files of others
keep only their compiled form (a third of the archive); ours keep the source, which people read on a VM.
"""

import py_compile
import sys
from pathlib import Path

SOURCES_STAY = ("site/puller", "site/desired_state", "site/__main__.py")


def compile_tree(root: Path) -> None:
    """Puts compiled files in place of, or beside, each source below root. Raises PyCompileError for a bad one."""
    for source in sorted(root.rglob("*.py")):
        name = source.relative_to(root).as_posix()
        stays = name.startswith(SOURCES_STAY)
        target = (
            source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc" if stays else source.with_suffix(".pyc")
        )
        py_compile.compile(
            str(source),
            cfile=str(target),
            dfile=name,
            doraise=True,
            # Never compared with the source: times differ after unpacking, and a release is not edited.
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not stays:
            source.unlink()


if __name__ == "__main__":
    compile_tree(Path(sys.argv[1]))
