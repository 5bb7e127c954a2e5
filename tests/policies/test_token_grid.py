import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

import daf.policies.token_grid as module
from daf.game import missions, policies
from daf.game.policy_loading import build
from daf.game.simulation import Simulation, convert, with_map_seed
from daf.policies._tokens import Kinds
from daf.policies.token_grid import CACHED, Encoder, TokenGridPolicy

PAD = [255, 255, 255]
GLOBAL, CENTRE, NEXT = 0xFE, 0x66, 0x67


@pytest.fixture(scope="module")
def info() -> PolicyEnvInterface:
    torch.set_num_threads(1)
    return PolicyEnvInterface.from_mg_cfg(missions.resolve("arena")[0].config)


@pytest.fixture(scope="module")
def seen() -> torch.Tensor:
    """(agents, steps, tokens, 3): what the agents of arena see in 6 steps."""
    env = with_map_seed(missions.resolve("arena")[0].config, 1)
    simulation = Simulation(env, convert(env), 1, [])
    steps = []
    for step in range(6):
        steps.append(torch.from_numpy(simulation._c_sim.observations().copy()))
        simulation._c_sim.actions()[:] = [1 + (step // 3 + agent) % 4 for agent in range(8)]
        simulation._c_sim.step()
    return torch.stack(steps, dim=1)


def policy(info: PolicyEnvInterface, **arguments: object) -> TokenGridPolicy:
    """With weights drawn from one seed, and heads that distinguish observations."""
    torch.manual_seed(3)
    made = TokenGridPolicy(info, **arguments)  # type: ignore[arg-type]
    made.network().action_head.weight.data *= 100
    return made


def logits(made: TokenGridPolicy, observations: torch.Tensor, **state: object) -> torch.Tensor:
    with torch.no_grad():
        return made.network().forward_eval(observations, {"lstm_h": None, "lstm_c": None, **state})[0]


def feature(info: PolicyEnvInterface, name: str) -> int:
    return next(each.id for each in info.obs_features if each.name == name)


def tokens(*given: tuple[int, int, int], of: int = 40) -> torch.Tensor:
    """One row of one observation with these tokens."""
    return torch.tensor([[*map(list, given), *[PAD] * (of - len(given))]], dtype=torch.uint8)


def dense(encoder: Encoder, kinds: Kinds, observations: torch.Tensor, scaled: bool) -> torch.Tensor:
    """The encoder's result, with its first layer as a dense convolution over one-hot inputs."""
    height, width = kinds.view
    inputs = kinds.kinds + kinds.numerics
    grid = torch.zeros(len(observations), inputs, height, width)
    near = torch.zeros(len(observations), encoder.own_table.shape[1])
    for row, observation in enumerate(observations.tolist()):
        for location, number, value in observation:
            if number == 255:
                continue
            token, numeric = number << 8 | value, bool(kinds.numeric[number << 8 | value])
            kind, extra = int(kinds.kind[token]), kinds.kinds + int(kinds.earlier[token])
            at = (location >> 4, location & 15)
            if at[0] < height and at[1] < width:
                grid[row, kind, *at] += 1
                if numeric:
                    grid[row, extra, *at] += kinds.size[token]
            if location in (GLOBAL, CENTRE):
                table = encoder.own_table.view(-1, 2, near.shape[1])[:, int(location == GLOBAL)]
                near[row] += table[kind]
                if numeric:
                    near[row] += kinds.size[token] * table[extra]
                    near[row] += table[inputs + int(kinds.earlier[token]) * 20 + int(kinds.bucket[token])]
    weight = encoder.table.view(inputs, 3, 3, -1).permute(3, 0, 1, 2)
    gate = torch.ones(len(near), 2, 1, 1, 1)
    if scaled:
        gate = encoder.gate(F.relu(encoder.gate_norm(near))).unflatten(1, (2, -1, 1, 1)) + 1
    first = F.relu(F.conv2d(grid, weight, encoder.bias, stride=2, padding=1) * gate[:, 0])
    read = F.relu(encoder.convolution(first) * gate[:, 1])
    whole = F.relu(encoder.norm(encoder.linear(read.flatten(1)) + near))
    return whole + F.relu(encoder.second(whole)) if scaled else whole


@pytest.mark.parametrize("scaled", [True, False])
def test_the_first_layer_is_a_convolution_over_one_hot_tokens_and_so_is_its_gradient(
    info: PolicyEnvInterface, seen: torch.Tensor, scaled: bool
) -> None:
    kinds = Kinds(info)
    torch.manual_seed(0)
    encoder = Encoder(kinds, hidden_size=24, channels=8, scaled=scaled)
    rows = seen[:, 0]
    direction = torch.randn(len(rows), 24)
    gradients = []
    found = [encoder(rows), dense(encoder, kinds, rows, scaled)]
    for each in found:
        encoder.zero_grad()
        (each * direction).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters() if parameter.grad is not None])
    assert torch.allclose(found[0], found[1], atol=1e-4)
    assert float(found[0].detach().std()) > 0.1, "a result that is always the same would prove nothing"
    assert len(gradients[0]) == len(gradients[1]) == (15 if scaled else 9)
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-3), (ours - theirs).abs().max()
        assert float(ours.abs().sum()) > 0, "every parameter is in use"


def test_many_observations_give_what_each_gives_alone(info: PolicyEnvInterface, seen: torch.Tensor) -> None:
    made = policy(info)
    many = seen[:, :1].flatten(0, 1).repeat(CACHED // 8 + 1, 1, 1)
    found = logits(made, many)
    for row in (0, 5, CACHED + 3):
        assert torch.allclose(found[row : row + 1], logits(made, many[row : row + 1]), atol=1e-5)


def test_a_sequence_gives_what_its_steps_give_also_where_episodes_begin_in_it(
    info: PolicyEnvInterface, seen: torch.Tensor
) -> None:
    net = policy(info).network()
    rows, time = seen.shape[:2]
    done = torch.zeros(rows, time, dtype=torch.bool)
    done[0, 3] = done[1, 3] = done[2, 0] = done[3, 5] = True
    state = {name: torch.randn(rows, net.hidden_size) for name in ("lstm_h", "lstm_c")}
    with torch.no_grad():
        found, values = net.forward_eval(seen, {**state, "done": done})
        for step in range(time):
            state["done"] = done[:, step]
            one, value = net.forward_eval(seen[:, step], state)
            assert torch.allclose(one, found.view(rows, time, -1)[:, step], atol=1e-5)
            assert torch.allclose(value, values.view(rows, time, 1)[:, step], atol=1e-5)


def test_padding_and_the_order_of_tokens_change_nothing(info: PolicyEnvInterface, seen: torch.Tensor) -> None:
    made, rows = policy(info), seen[:, 0]
    expected = logits(made, rows)
    assert float(expected.std()) > 0.05, "logits that are all alike would prove nothing"
    padded = torch.cat([rows, torch.full((8, 20, 3), 255, dtype=torch.uint8)], dim=1)
    assert torch.allclose(logits(made, padded), expected, atol=1e-6)
    marked = rows.clone()
    marked[..., 2][marked[..., 1] == 255] = 0
    assert torch.equal(logits(made, marked), expected)
    count = int((rows[0, :, 1] != 255).sum())
    turned = torch.cat([rows[:1, :count].flip(1), rows[:1, count:]], dim=1)
    assert torch.allclose(logits(made, turned), expected[:1], atol=1e-4)


def test_every_part_of_a_token_is_seen(info: PolicyEnvInterface) -> None:
    tag, carbon, silicon = (feature(info, name) for name in ("tag", "inv:carbon", "inv:silicon"))
    east = feature(info, "lp:east")
    shown = [
        tokens(), tokens((CENTRE, tag, 0)), tokens((CENTRE, tag, 1)), tokens((NEXT, tag, 1)), tokens((0x00, tag, 1)),
        tokens((0xCC, tag, 1)), tokens((CENTRE, carbon, 0)), tokens((CENTRE, carbon, 7)), tokens((CENTRE, carbon, 8)),
        tokens((CENTRE, silicon, 8)), tokens((NEXT, carbon, 8)), tokens((NEXT, carbon, 200)),
        tokens((GLOBAL, east, 9)), tokens((GLOBAL, east, 200)), tokens((CENTRE, east, 9)),
    ]  # fmt: skip
    found = [logits(policy(info), each) for each in shown]
    assert all(torch.isfinite(each).all() for each in found)
    for first in range(len(found)):
        for second in range(first):
            assert not torch.allclose(found[first], found[second], atol=1e-3), (first, second)


def test_a_feature_that_the_mission_does_not_name_is_no_error(info: PolicyEnvInterface) -> None:
    assert torch.isfinite(logits(policy(info), tokens((CENTRE, 200, 3), (0xEE, 201, 255)))).all()


@pytest.mark.parametrize("view", [(1, 1), (3, 5), (4, 4), (5, 5), (11, 11), (13, 13), (15, 16)])
def test_views_of_any_size_are_read_to_their_edges(info: PolicyEnvInterface, view: tuple[int, int]) -> None:
    kinds = Kinds(info)
    kinds.view = view
    torch.manual_seed(1)
    encoder = Encoder(kinds, hidden_size=16, channels=8, scaled=True)
    for layer in (encoder, encoder.convolution):
        layer.bias.data += 3  # so that no unit is cut off
    tag = feature(info, "tag")
    empty = encoder(tokens())
    for row in {0, view[0] // 2, view[0] - 1}:
        for column in {0, view[1] // 2, view[1] - 1}:
            assert not torch.equal(encoder(tokens((row << 4 | column, tag, 1))), empty), (row, column)


@pytest.mark.parametrize(("arguments", "says"), [
    ({"hidden_size": 0}, "hidden_size must be a whole number from 1 to 4096, got 0"),
    ({"channels": 2.5}, "channels must be a whole number from 1 to 1024, got 2.5"),
])  # fmt: skip
def test_arguments_that_make_no_network_are_refused(
    info: PolicyEnvInterface, arguments: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        TokenGridPolicy(info, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("scaled", "named"), [(True, {"scaled": True}), (False, {})], ids=["scaled", "of 0.2.0"])
def test_weights_make_the_network_that_they_were_saved_from(
    info: PolicyEnvInterface, seen: torch.Tensor, tmp_path: Path, scaled: bool, named: dict[str, bool]
) -> None:
    made = policy(info, hidden_size=48, channels=16, scaled=scaled)
    made.save_policy_data(str(tmp_path / "weights.pt"))
    other = TokenGridPolicy(info)
    other.load_policy_data(str(tmp_path / "weights.pt"))
    assert other.init_kwargs() == made.init_kwargs() == {"hidden_size": 48, "channels": 16, **named}
    assert torch.equal(logits(other, seen), logits(made, seen))


def test_weights_of_another_mission_are_refused_with_what_differs(info: PolicyEnvInterface, tmp_path: Path) -> None:
    policy(info).save_policy_data(str(tmp_path / "weights.pt"))
    small = TokenGridPolicy(PolicyEnvInterface.from_mg_cfg(missions.resolve("training_facility_2")[0].config))
    with pytest.raises(ValueError, match="other features"):
        small.load_policy_data(str(tmp_path / "weights.pt"))


def test_mixed_precision_is_near_and_keeps_the_state_in_float32(info: PolicyEnvInterface, seen: torch.Tensor) -> None:
    made = policy(info)
    exact = logits(made, seen[:, :2])
    made.use_mixed_precision()
    state = {name: torch.zeros(8, 128) for name in ("lstm_h", "lstm_c")}
    found, values = made.network().forward_eval(seen[:, :2], state)
    (found.sum() + values.sum()).backward()
    assert {found.dtype, values.dtype, state["lstm_h"].dtype} == {torch.float32}
    assert torch.allclose(found, exact, atol=0.1 * float(exact.std()) + 0.02)
    assert not torch.equal(found, exact)


def test_a_bundle_plays_where_daf_is_not_installed(info: PolicyEnvInterface, tmp_path: Path) -> None:
    made = policy(info, hidden_size=24, channels=8)
    folder = tmp_path / "bundle"
    (folder / "daf" / "policies").mkdir(parents=True)
    for name in ("token_grid", "_recurrent", "_tokens"):
        shutil.copy(Path(module.__file__).with_name(f"{name}.py"), folder / "daf" / "policies")
    made.save_policy_data(str(folder / "weights.pt"))
    spec = {
        "class_path": "daf.policies.token_grid.TokenGridPolicy",
        "data_path": "weights.pt",
        "init_kwargs": made.init_kwargs(),
    }
    (folder / "policy_spec.json").write_text(json.dumps(spec))
    built = build(policies.resolve(str(folder), cache=tmp_path / "cache"), info)
    assert isinstance(built, TokenGridPolicy)
    config = tmp_path / "mission.json"
    config.write_bytes(missions.resolve("arena,max_steps=2")[0].config_json)
    (tmp_path / "play.py").write_text(PLAY)
    source = str(Path(module.__file__).parents[2])
    run = subprocess.run(
        [sys.executable, "play.py", source, str(folder), str(config)], capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(folder / "daf" / "policies" / "token_grid.py"), "2"]


PLAY = """
import importlib.util, pathlib, sys

sys.path.remove(sys.argv[1])
assert importlib.util.find_spec("daf") is None
from mettagrid import MettaGridConfig
from mettagrid.policy.loader import initialize_or_load_policy
from mettagrid.policy.prepare_policy_spec import load_policy_spec_from_path
from mettagrid.runner.rollout import run_episode_local

config = MettaGridConfig.model_validate_json(pathlib.Path(sys.argv[3]).read_bytes())
spec = load_policy_spec_from_path(pathlib.Path(sys.argv[2]))
result, _ = run_episode_local(policy_specs=[spec], assignments=[0] * 8, env=config, seed=0, render_mode="none")
print(sys.modules["daf.policies.token_grid"].__file__, result.steps)
"""
