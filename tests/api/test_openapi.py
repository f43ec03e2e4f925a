"""Whatever is sent to any route, the answer is one that the API describes: never a fault of ours."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case

from api.app import create_app
from api.principal import Role
from api.settings import Settings
from tests.api.house import House, settings_for

SCHEMA = schemathesis.openapi.from_dict(create_app(Settings()).openapi_schema.to_schema())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if found.ok().path != "/v1/stream"]
"""The stream does not end."""


@pytest.fixture(scope="module")
def module_house(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One backend for all examples: what they leave behind makes the later ones more interesting."""
    folder = tmp_path_factory.mktemp("house")
    with House(settings_for(f"sqlite:///{folder / 'towline.db'}", folder)).open() as house:
        yield house


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method.upper()} {o.path}")
def test_no_request_makes_us_fail(module_house: House, operation: Any) -> None:
    """Made from the schema, and made to break it: below 500, errors as problem details."""

    @settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.data())
    def send(data: st.DataObject) -> None:
        case: Case = data.draw(
            operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        )
        sent = case.as_transport_kwargs(base_url="http://testserver.local")
        headers = {name: value for name, value in dict(sent["headers"] or {}).items() if name.lower() != "cookie"}
        headers["Authorization"] = f"Bearer {module_house.token(Role.ADMIN)}"
        response = module_house.client.request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            json=sent.get("json"),
            headers=headers,
            follow_redirects=False,
        )
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            assert response.headers["content-type"].startswith("application/problem+json")
            assert not response.content or response.json()["status"] == response.status_code

    send()
