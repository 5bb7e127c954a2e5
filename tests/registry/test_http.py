"""The registry behind an endpoint: faults of servers and connections, tokens, and answers of something else."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from daf.errors import AuthenticationError, DamagedFileError, LockedError, ReleaseError, ServerError, UsageError
from daf.registry import HttpRegistry, find_release, open_registry
from tests.registry.http_server import Endpoint, running
from tests.registry.releasing import bundle_of, put_live, release_of

TOKEN = "canary-71fe02c9"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    with running(Endpoint(tmp_path)) as there:
        yield there


def opened(endpoint: Endpoint, token: str | None = None) -> HttpRegistry:
    return HttpRegistry(endpoint.url, token=token, pause=0.001)


@pytest.mark.parametrize("fault", ["cut", "cut after", 429, 500, 503])
@pytest.mark.parametrize("request_number", range(5))
def test_a_deployment_survives_a_fault_of_any_request(
    endpoint: Endpoint, tmp_path: Path, fault: str | int, request_number: int
) -> None:
    endpoint.faults = ["none"] * request_number + [fault]
    endpoint.retry_after = "0"
    put_live(opened(endpoint), bundle_of(tmp_path, "one"), "1.0.0")
    assert not endpoint.faults, "the fault did not happen"
    policy = opened(endpoint).policy("walker")
    assert policy.live == "1.0.0"
    assert len(policy.events) == 1
    assert opened(endpoint).fetch(policy.releases[0].release, tmp_path / "down").read_text() == "one"


def test_a_server_that_keeps_failing_is_named_with_its_reason(endpoint: Endpoint) -> None:
    endpoint.faults = [503] * 5
    endpoint.retry_after = "0"
    with pytest.raises(ServerError, match=r"http://127\.0\.0\.1:\d+/api answered with HTTP status 503: not now\."):
        opened(endpoint).names()
    assert len(endpoint.requests) == 5


def test_an_endpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with running(Endpoint(tmp_path)) as there:
        url = there.url
    with pytest.raises(ServerError, match=rf"{url} can't be reached: .*refused.*the same command continues"):
        HttpRegistry(url, pause=0.001).names()


def test_a_refused_request_is_not_repeated(endpoint: Endpoint) -> None:
    endpoint.faults = [400]
    with pytest.raises(ServerError, match="HTTP status 400"):
        opened(endpoint).names()
    assert len(endpoint.requests) == 1


def test_the_token_is_sent_and_appears_nowhere_else(
    endpoint: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.token = TOKEN
    put_live(opened(endpoint, TOKEN), bundle_of(tmp_path, "one"), "1.0.0")
    assert {headers["Authorization"] for headers in endpoint.headers} == {f"Bearer {TOKEN}"}
    with pytest.raises(UsageError, match="must not hold a user, a password or a token") as in_url:
        HttpRegistry(endpoint.url.replace("http://", f"http://daf:{TOKEN}@"))
    registry = opened(endpoint, TOKEN)
    assert registry.policy("walker").live == "1.0.0"
    said = [registry.place, registry.where(release_of(bundle_of(tmp_path, "one"), "1.0.0")), caplog.text]
    endpoint.token = "another"
    with pytest.raises(AuthenticationError, match="does not accept the token") as refused:
        registry.names()
    with pytest.raises(AuthenticationError, match=r"needs a token\. Set DAF_REGISTRY_TOKEN"):
        opened(endpoint).names()
    endpoint.faults = ["cut"] * 5
    with pytest.raises(ServerError) as cut:
        registry.names()
    assert TOKEN not in " ".join([*said, str(refused.value), str(cut.value), str(in_url.value), *endpoint.requests])


def test_the_variable_holds_the_token(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.token = TOKEN
    monkeypatch.setenv("DAF_REGISTRY_TOKEN", TOKEN)
    monkeypatch.setenv("DAF_REGISTRY", endpoint.url)
    put_live(open_registry(None, base_dir=tmp_path), bundle_of(tmp_path, "one"), "1.0.0")
    assert find_release(open_registry(None, base_dir=tmp_path), "walker")["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/api", "is not encrypted"), ("http://", "name a host"), ("https://a b/", "host|reached"),
        ("https://example.org/?q=1", "must not hold"), ("ftp://example.org", "must begin with"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_refused(url: str, said: str) -> None:
    with pytest.raises((UsageError, ServerError), match=said) as refused:
        HttpRegistry(url, token=TOKEN, pause=0.0).names()
    assert TOKEN not in str(refused.value)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='"nope://" is not a kind of URL'):
        open_registry("nope://somewhere/releases", base_dir=tmp_path)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"policies": [1]}', b'{"policies": {"a": 1}}'])
def test_a_server_that_is_something_else_is_named(endpoint: Endpoint, answer: bytes) -> None:
    endpoint.answer = answer
    with pytest.raises(ServerError, match="does not answer as a registry of DAF does"):
        opened(endpoint).names()
    with pytest.raises(ServerError, match="does not answer as a registry of DAF does"):
        opened(endpoint).policy("walker")


def test_an_answer_is_read_up_to_a_limit(endpoint: Endpoint) -> None:
    endpoint.answer = b" " * (17 * 2**20)
    with pytest.raises(ServerError, match="answered with more than"):
        opened(endpoint).names()


def test_bytes_that_were_changed_on_the_way_are_not_used(endpoint: Endpoint, tmp_path: Path) -> None:
    put_live(opened(endpoint), bundle_of(tmp_path, "one"), "1.0.0")
    release = find_release(opened(endpoint), "walker")
    endpoint.tampered = True
    with pytest.raises(DamagedFileError, match="its bytes don't have the SHA-256"):
        opened(endpoint).fetch(release, tmp_path / "down")
    assert list((tmp_path / "down").glob("*")) == []


def test_known_bytes_are_not_sent_again(endpoint: Endpoint, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "one")
    put_live(opened(endpoint), bundle, "1.0.0")
    endpoint.requests.clear()
    assert not opened(endpoint).add(release_of(bundle, "1.0.0"), bundle)
    other = bundle_of(tmp_path, "two")
    with pytest.raises(ReleaseError, match="exists with other bytes"):
        opened(endpoint).add(release_of(other, "1.0.0"), other)
    assert not [one for one in endpoint.requests if one.startswith("PUT")]


def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    endpoint.faults = [302]
    with pytest.raises(ServerError, match="redirects to"):
        opened(endpoint, TOKEN).names()


def test_a_rollback_at_the_same_time_refuses_the_switch(endpoint: Endpoint, tmp_path: Path) -> None:
    put_live(opened(endpoint), bundle_of(tmp_path, "one"), "1.0.0")
    put_live(opened(endpoint), bundle_of(tmp_path, "two"), "2.0.0")
    policy = opened(endpoint).policy("walker")
    endpoint.registry.switch("walker", policy.next_event("rolled back", "1.0.0"), expected="2.0.0")
    with pytest.raises(LockedError, match=r"1\.0\.0 of walker is live, not 2\.0\.0"):
        opened(endpoint).switch("walker", policy.next_event("released", "1.0.0"), expected="2.0.0")
