"""Refuse files that tie the project to one machine: a package registry's address, or a path in somebody's home.

Which registry or mirror is used is the configuration of the machine, never of this repository.
"""

import re
import sys
from pathlib import Path

# The brackets keep these lines from matching themselves.
FORBIDDEN = {
    "the address of a package registry or mirror": re.compile(
        rb"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|deb[.]debian[.]org|security[.]debian[.]org"
        rb"|repo1?[.]maven|proxy[.]golang|crates[.]io",
    ),
    "a path of somebody's machine": re.compile(rb"(?<![\w.$}])/(root|work|home/[a-z]\w*)/[\w.]"),
    "a private key": re.compile(rb"BEGIN[ ](OPENSSH |EC |RSA )?PRIVATE KEY-----[\r\n]"),
}


def problems(name: str, content: bytes) -> list[str]:
    """Each forbidden thing in a file as `file:line: what it is: the text`."""
    found = []
    for what, pattern in FORBIDDEN.items():
        for match in pattern.finditer(content):
            line = content.count(b"\n", 0, match.start()) + 1
            found.append(f"{name}:{line}: {what}: {match.group().decode(errors='replace').strip()}")
    return found


def main(names: list[str]) -> int:
    """Print every problem of the named files; 1 when there is one."""
    found = [problem for name in names for problem in problems(name, Path(name).read_bytes())]
    print("\n".join(found) or f"{len(names)} files name no registry and no home folder")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
