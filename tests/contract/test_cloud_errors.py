"""What a service of the cloud answers becomes an error of ours, whichever way it goes wrong."""

from __future__ import annotations

import pytest
from keystoneauth1 import adapter, noauth
from keystoneauth1 import session as keystone

from higgins.cloud.session import Service
from higgins.core import errors
from tests.cloud.faults.board import Board, Fault
from tests.cloud.faults.proxy import Proxy
from tests.contract.store_rows import until

SITE = "test: network GET /v2.0/ports"
BECOMES = {
    "500": errors.Unavailable,
    "503": errors.Unavailable,
    "401": errors.Unavailable,
    "409": errors.Conflict,
    "429": errors.NotReady,
    "404": errors.NotFound,
    "hang": errors.Timeout,
}


@pytest.fixture
def proxy():
    """Before nothing: every request here is answered by a fault."""
    proxy = Proxy("network", "127.0.0.1:1", Board())
    yield proxy
    proxy.stop()


@pytest.fixture
def service(proxy):
    return service_behind(proxy, timeout_s=60)


def service_behind(proxy, *, timeout_s):
    session = keystone.Session(auth=noauth.NoAuth(), timeout=timeout_s, user_agent="test")
    own = adapter.Adapter(session, endpoint_override=f"http://{proxy.address}")
    return Service(own, session, "Neutron", path="/v2.0")


@pytest.mark.parametrize("answer", BECOMES)
def test_an_answer_that_is_none_is_an_error_that_names_the_service(proxy, answer):
    service = service_behind(proxy, timeout_s=0.5 if answer == "hang" else 60)
    with proxy.board.armed(Fault(site=SITE, answer=answer)) as fault:
        with pytest.raises(errors.HigginsError) as told:
            service.call("GET", "/ports")
        until(lambda: fault.hits, "the proxy has read the request")
    assert (type(told.value), fault.hits) == (BECOMES[answer], 1)
    assert "Neutron" in told.value.message


def test_a_service_that_is_away_may_come_back(proxy, service):
    with proxy.away(), pytest.raises(errors.Unavailable, match="Neutron does not answer"):
        service.call("GET", "/ports")


def test_a_user_whose_own_token_is_refused_is_told_so(proxy, service):
    with proxy.board.armed(Fault(site=SITE, answer="401")), pytest.raises(errors.Unauthorized, match="Neutron"):
        service.call("GET", "/ports", token="his")
