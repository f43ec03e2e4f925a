"""Reading back what the scripts write as `"name": value` a line."""

import json


def yaml_lines(text: str) -> str:
    """The lines as somebody would have written them in a parameter; comments as they are."""
    return "\n".join(line if line.startswith("#") else _line(line) for line in text.splitlines())


def _line(line: str) -> str:
    ((name, value),) = json.loads("{" + line + "}").items()
    if isinstance(value, list):
        return f"{name}: [{', '.join(value)}]"
    return f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
