import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

import daf.policies.token_lstm as module
from daf.game import missions, policies
from daf.game.policy_loading import build
from daf.game.simulation import Simulation, convert, with_map_seed
from daf.policies.token_lstm import TokenLSTMPolicy

PAD = [255, 255, 255]
GLOBAL, CENTRE, BESIDE = 0xFE, 0x22, 0x23


@pytest.fixture(scope="module")
def info() -> PolicyEnvInterface:
    torch.set_num_threads(1)
    return PolicyEnvInterface.from_mg_cfg(missions.resolve("training_facility_2")[0].config)


@pytest.fixture(scope="module")
def seen() -> torch.Tensor:
    """(agents, steps, tokens, 3): what four agents of training_facility_2 see in 12 steps."""
    env = with_map_seed(missions.resolve("training_facility_2")[0].config, 1)
    simulation = Simulation(env, convert(env), 1, [])
    steps = []
    for step in range(12):
        steps.append(torch.from_numpy(simulation._c_sim.observations().copy()))
        simulation._c_sim.actions()[:] = [1 + (step // 3 + agent) % 4 for agent in range(4)]
        simulation._c_sim.step()
    return torch.stack(steps, dim=1)


def policy(info: PolicyEnvInterface, **arguments: object) -> TokenLSTMPolicy:
    """With weights drawn from one seed, and heads that tell observations apart."""
    torch.manual_seed(3)
    made = TokenLSTMPolicy(info, **arguments)  # type: ignore[arg-type]
    made.network().action_head.weight.data *= 100
    return made


def logits(made: TokenLSTMPolicy, observations: torch.Tensor, **state: object) -> torch.Tensor:
    with torch.no_grad():
        return made.network().forward_eval(observations, {"lstm_h": None, "lstm_c": None, **state})[0]


def feature(info: PolicyEnvInterface, name: str) -> int:
    return next(each.id for each in info.obs_features if each.name == name)


def tokens(*given: tuple[int, int, int], of: int = 40) -> torch.Tensor:
    """One row of one observation with these tokens."""
    return torch.tensor([[*map(list, given), *[PAD] * (of - len(given))]], dtype=torch.uint8)


@pytest.mark.parametrize("pooling", ["sum", "max", "attention"])
def test_a_sequence_gives_what_its_steps_give_also_where_episodes_begin_in_it(
    info: PolicyEnvInterface, seen: torch.Tensor, pooling: str
) -> None:
    net = policy(info, pooling=pooling).network()
    rows, time = seen.shape[:2]
    done = torch.zeros(rows, time, dtype=torch.bool)
    done[0, 5] = done[1, 5] = done[2, 0] = done[3, 11] = True
    start = {name: torch.randn(rows, net.hidden_size) for name in ("lstm_h", "lstm_c")}
    with torch.no_grad():
        whole = {**start, "done": done}
        logits, values = net.forward_eval(seen, whole)
        state = dict(start)
        for step in range(time):
            state["done"] = done[:, step]
            one, value = net.forward_eval(seen[:, step], state)
            assert torch.allclose(one, logits.view(rows, time, -1)[:, step], atol=1e-5)
            assert torch.allclose(value, values.view(rows, time, 1)[:, step], atol=1e-5)
        by_hand = net.forward_eval(seen[1:2, 5:], {"lstm_h": None, "lstm_c": None})[0]
    assert torch.allclose(state["lstm_h"], whole["lstm_h"], atol=1e-5)
    assert torch.allclose(by_hand, logits.view(rows, time, -1)[1, 5:], atol=1e-5), "a new episode begins at zero"


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_the_state_comes_back_in_the_shape_that_it_was_given_in(
    info: PolicyEnvInterface, seen: torch.Tensor, shape: tuple[int, ...]
) -> None:
    state = {name: torch.zeros(*shape, 128) for name in ("lstm_h", "lstm_c")}
    policy(info).network().forward_eval(seen[:2, 0], state)
    assert state["lstm_h"].shape == state["lstm_c"].shape == (*shape, 128)
    assert state["lstm_h"].abs().sum() > 0


@pytest.mark.parametrize("pooling", ["sum", "max", "attention"])
def test_padding_and_the_order_of_tokens_change_nothing(
    info: PolicyEnvInterface, seen: torch.Tensor, pooling: str
) -> None:
    made, rows = policy(info, pooling=pooling), seen[:, 0]
    expected = logits(made, rows)
    assert float(expected.std()) > 0.05, "logits that are all alike would prove nothing"
    padded = torch.cat([rows, torch.full((4, 20, 3), 255, dtype=torch.uint8)], dim=1)
    assert torch.allclose(logits(made, padded), expected, atol=1e-6)
    marked = rows.clone()
    marked[..., 2][marked[..., 1] == 255] = 0
    assert torch.equal(logits(made, marked), expected)
    count = int((rows[0, :, 1] != 255).sum())
    turned = torch.cat([rows[:1, :count].flip(1), rows[:1, count:]], dim=1)
    assert torch.allclose(logits(made, turned), expected[:1], atol=1e-4)


@pytest.mark.parametrize("pooling", ["sum", "max", "attention"])
def test_an_observation_without_tokens_has_finite_logits(info: PolicyEnvInterface, pooling: str) -> None:
    assert torch.isfinite(logits(policy(info, pooling=pooling), tokens())).all()


def test_every_part_of_a_token_is_seen(info: PolicyEnvInterface) -> None:
    tag, carbon, silicon = (feature(info, name) for name in ("tag", "inv:carbon", "inv:silicon"))
    east = feature(info, "lp:east")
    shown = [
        tokens((CENTRE, tag, 0)), tokens((CENTRE, tag, 1)), tokens((BESIDE, tag, 1)),
        tokens((CENTRE, carbon, 7)), tokens((CENTRE, carbon, 8)), tokens((CENTRE, silicon, 8)),
        tokens((BESIDE, carbon, 8)), tokens((BESIDE, carbon, 9)), tokens((GLOBAL, east, 9)),
        tokens((GLOBAL, east, 200)),
    ]  # fmt: skip
    found = [logits(policy(info), each) for each in shown]
    for first in range(len(found)):
        for second in range(first):
            assert not torch.allclose(found[first], found[second], atol=1e-3), (first, second)


def test_a_feature_that_the_mission_does_not_name_is_no_error(info: PolicyEnvInterface) -> None:
    assert torch.isfinite(logits(policy(info), tokens((CENTRE, 200, 3), (0xEE, 201, 255)))).all()


def test_each_argument_has_its_effect(info: PolicyEnvInterface, seen: torch.Tensor) -> None:
    plain = policy(info).network()
    assert policy(info, hidden_size=32).network().lstm.hidden_size == 32
    assert policy(info, embedding_size=16).network().encoder.table.shape[1] == 16
    assert policy(info, pooling="attention", attention_heads=2).network().encoder.queries.shape == (2, 64)
    base = logits(policy(info), seen[:, 0])
    for pooling in ("max", "attention"):
        other = policy(info, pooling=pooling)
        matching = {k: v for k, v in plain.state_dict().items() if other.network().state_dict()[k].shape == v.shape}
        other.network().load_state_dict({**other.network().state_dict(), **matching})
        assert not torch.allclose(logits(other, seen[:, 0]), base, atol=1e-3)


@pytest.mark.parametrize(("arguments", "says"), [
    ({"hidden_size": 0}, "hidden_size must be a whole number from 1 to 4096, got 0"),
    ({"embedding_size": 2.5}, r"embedding_size must be a whole number .* got 2.5"),
    ({"pooling": "mean"}, "must be one of sum, max, attention"),
    ({"attention_heads": 2}, 'attention_heads=2 needs pooling="attention"'),
    ({"pooling": "attention", "attention_heads": 65}, r"attention_heads must be .* got 65"),
])  # fmt: skip
def test_arguments_that_make_no_network_are_refused(
    info: PolicyEnvInterface, arguments: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        TokenLSTMPolicy(info, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_weights_make_the_network_that_they_were_saved_from(
    info: PolicyEnvInterface, seen: torch.Tensor, tmp_path: Path, suffix: str
) -> None:
    made = policy(info, hidden_size=48, pooling="max")
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pt":
        made.save_policy_data(str(path))
    else:
        from safetensors.torch import save_file

        save_file(made.network().state_dict(), str(path))
    other = TokenLSTMPolicy(info)
    other.load_policy_data(str(path))
    assert other.init_kwargs() == made.init_kwargs() == {"hidden_size": 48, "embedding_size": 64, "pooling": "max"}
    assert torch.equal(logits(other, seen), logits(made, seen))


def test_weights_of_another_mission_are_refused_with_what_differs(info: PolicyEnvInterface, tmp_path: Path) -> None:
    policy(info).save_policy_data(str(tmp_path / "weights.pt"))
    arena = TokenLSTMPolicy(PolicyEnvInterface.from_mg_cfg(missions.resolve("arena")[0].config))
    with pytest.raises(ValueError, match=r"other features .*only here: .*inv:"):
        arena.load_policy_data(str(tmp_path / "weights.pt"))
    torch.save({"some": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="no weights of token_lstm"):
        arena.load_policy_data(str(tmp_path / "other.pt"))


def test_weights_go_from_one_small_mission_to_another(
    info: PolicyEnvInterface, seen: torch.Tensor, tmp_path: Path
) -> None:
    made = policy(info)
    made.save_policy_data(str(tmp_path / "weights.pt"))
    other = TokenLSTMPolicy(PolicyEnvInterface.from_mg_cfg(missions.resolve("assembler_2")[0].config))
    other.load_policy_data(str(tmp_path / "weights.pt"))
    assert torch.equal(logits(other, seen), logits(made, seen))


def test_a_batch_of_agents_remembers_until_it_is_reset(info: PolicyEnvInterface, seen: torch.Tensor) -> None:
    made = policy(info)
    for weights in (*made.network().lstm.parameters(), made.network().action_head.weight):
        weights.data *= 8  # so that what is remembered shows in what is drawn
    batches = [seen[:, step].numpy() for step in range(8)]

    def played() -> torch.Tensor:
        torch.manual_seed(0)
        actions = torch.zeros(len(batches), 4, dtype=torch.int32)
        for step, batch in enumerate(batches):
            made.step_batch(batch, actions[step].numpy())
        return actions

    first = played()
    going_on = played()
    made.reset()
    assert torch.equal(played(), first)
    assert not torch.equal(going_on, first), "the state went on"
    assert int(first.max()) < len(info.action_names)


def test_gradient_checkpointing_gives_the_same_gradients(info: PolicyEnvInterface, seen: torch.Tensor) -> None:
    gradients = []
    for checkpointing in (False, True):
        made = policy(info)
        if checkpointing:
            made.enable_gradient_checkpointing()
        found, values = made.network().forward_eval(seen, {"lstm_h": None, "lstm_c": None})
        (found.logsumexp(-1).sum() + values.square().sum()).backward()
        gradients.append([parameter.grad for parameter in made.network().parameters()])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True))
    assert all(float(gradient.abs().sum()) > 0 for gradient in gradients[0]), "every parameter is in use"


def test_mixed_precision_is_near_and_keeps_weights_state_and_heads_in_float32(
    info: PolicyEnvInterface, seen: torch.Tensor
) -> None:
    made = policy(info)
    exact = logits(made, seen)
    made.use_mixed_precision()
    state = {name: torch.zeros(4, 128) for name in ("lstm_h", "lstm_c")}
    found, values = made.network().forward_eval(seen, state)
    assert {found.dtype, values.dtype, state["lstm_h"].dtype} == {torch.float32}
    assert {parameter.dtype for parameter in made.network().parameters()} == {torch.float32}
    assert torch.allclose(found, exact, atol=0.05 * float(exact.std()) + 0.02)
    assert not torch.equal(found, exact)


def bundle(folder: Path, made: TokenLSTMPolicy) -> Path:
    """A bundle as one ships it: the specification, the weights and the policy's own module."""
    (folder / "daf" / "policies").mkdir(parents=True)
    for name in ("token_lstm", "_recurrent", "_tokens"):
        shutil.copy(Path(module.__file__).with_name(f"{name}.py"), folder / "daf" / "policies")
    made.save_policy_data(str(folder / "weights.pt"))
    spec = {
        "class_path": "daf.policies.token_lstm.TokenLSTMPolicy",
        "data_path": "weights.pt",
        "init_kwargs": made.init_kwargs(),
    }
    (folder / "policy_spec.json").write_text(json.dumps(spec))
    return folder


def test_a_bundle_is_a_policy_with_its_weights(info: PolicyEnvInterface, seen: torch.Tensor, tmp_path: Path) -> None:
    made = policy(info, hidden_size=24)
    resolved = policies.resolve(str(bundle(tmp_path / "bundle", made)), cache=tmp_path / "cache")
    built = build(resolved, info)
    assert isinstance(built, TokenLSTMPolicy)
    assert torch.equal(logits(built, seen), logits(made, seen))


def test_a_bundle_plays_where_daf_is_not_installed(info: PolicyEnvInterface, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle", policy(info, hidden_size=24))
    config = tmp_path / "mission.json"
    config.write_bytes(missions.resolve("training_facility_2,max_steps=3")[0].config_json)
    (tmp_path / "play.py").write_text(PLAY)
    source = str(Path(module.__file__).parents[2])
    run = subprocess.run(
        [sys.executable, "play.py", source, str(folder), str(config)], capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(folder / "daf" / "policies" / "token_lstm.py"), "3"]


PLAY = """
import importlib.util, pathlib, sys

sys.path.remove(sys.argv[1])
assert importlib.util.find_spec("daf") is None
from mettagrid import MettaGridConfig
from mettagrid.policy.loader import initialize_or_load_policy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.policy.prepare_policy_spec import load_policy_spec_from_path
from mettagrid.runner.rollout import run_episode_local

config = MettaGridConfig.model_validate_json(pathlib.Path(sys.argv[3]).read_bytes())
spec = load_policy_spec_from_path(pathlib.Path(sys.argv[2]))
result, _ = run_episode_local(policy_specs=[spec], assignments=[0] * 4, env=config, seed=0, render_mode="none")
print(sys.modules["daf.policies.token_lstm"].__file__, result.steps)
"""
