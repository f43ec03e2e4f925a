"""Ranges of a download, as RFC 9110 has them."""

import pytest

from api.publish.ranges import Span, asked_span


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "whole"),
        ("bytes=0-9", Span(first=0, last=9)),
        ("bytes=90-", Span(first=90, last=99)),
        ("bytes=-10", Span(first=90, last=99)),
        ("bytes=-1000", Span(first=0, last=99)),
        ("bytes=95-200", Span(first=95, last=99)),
        ("bytes=100-", "unsatisfiable"),
        ("bytes=-0", "unsatisfiable"),
        ("bytes=9-3", "whole"),
        ("bytes=-", "whole"),
        ("bytes=0-1,5-6", "whole"),
        ("lines=0-1", "whole"),
        ("bytes=a-b", "whole"),
    ],
)
def test_the_part_that_is_asked_for(header: str, expected: object) -> None:
    """Of 100 bytes."""
    assert asked_span(header, "", '"e"', 100) == expected


def test_a_part_of_another_file_is_not_continued() -> None:
    """If-Range with an older ETag gets the whole."""
    assert asked_span("bytes=5-", '"old"', '"e"', 100) == "whole"
