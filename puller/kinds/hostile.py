"""Values that want to be more than values."""

from pathlib import Path


def hostile_values(canary: Path) -> tuple[str, ...]:
    """Each tries to make the canary file, to end its line or its quotes, or to be too much."""
    touch = f"touch {canary}"
    return (
        f"$({touch})",
        f"`{touch}`",
        f"; {touch}",
        f"& {touch} &",
        f"'; {touch}; '",
        f'"; {touch}; "',
        f"'$({touch})'",
        f'"$({touch})"',
        f"a[$({touch})]",
        f"x=a[$({touch})]",
        f"${{x:=$({touch})}}",
        f"$(({touch}))",
        f"> {canary}",
        f"\n{touch}\n",
        f"x\n$({touch})",
        f"x\r\n{touch}",
        "{a,b}{c,d}",
        "*",
        "$PATH",
        "${IFS}",
        "%s%n%d",
        "\\",
        "\\\\n",
        "\\x41\\u0041\\101",
        '"',
        "'",
        "''\"\"",
        "--help",
        "../../../etc/passwd",
        "/etc/passwd",
        "a|b",
        "#comment",
        "a=b=c",
        "\t\x0b\x0c",
        "\x01\x1b[31m\x7f",
        "ünïcödé ☃ 漢字 🚀",
        "\u202edrowssap",
        "CONF\nport 1",
        "}\n}\n",
        "08",
        "99999999999999999999",
        "x" * 20000,
    )
