"""What paths and queries may hold. Litestar looks at these bounds, and not at those in msgspec's types."""

from typing import Annotated

from litestar.params import PathParameter

from desired_state.names import HOST_PATTERN

MAX_NUMBER = 2**63 - 1
"""What every database can hold and compare with."""
PathNumber = Annotated[int, PathParameter(ge=1, le=MAX_NUMBER)]
PathHost = Annotated[str, PathParameter(pattern=HOST_PATTERN, max_length=128, description="The host's name")]
PathName = Annotated[str, PathParameter(max_length=200)]
