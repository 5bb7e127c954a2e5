"""Pack a policy into a bundle, validate it, serve it, and play an episode against the server with CoGames' own client.

Time: 50 s
"""

import os
from pathlib import Path

from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.runner.policy_server.websocket_transport import WebSocketPolicyServerClient
from mettagrid.runner.rollout import single_episode_rollout

from daf.deployment import PolicyServer, ServeSettings, daf_package_policy, daf_validate_deployment, inspect
from daf.deployment.serving_records import read
from daf.game.missions import resolve

packed = daf_package_policy("starter", "starter.zip")
print(packed.message)
print(inspect(packed.package_path).spec)
checked = daf_validate_deployment(packed.package_path)
print(checked.status, checked.message)

here = Path(os.environ.get("DAF_OUTPUT_DIR", "daf_output"))
server = PolicyServer(
    packed.package_path, ServeSettings(port=0), run_dir=here / "served", runs=here, cache=here / "cache"
)
server.start()
print("serving at", server.url)

mission = resolve("arena,cogs=4,max_steps=100")[0].config
agents = list(range(mission.game.num_agents))
try:
    with WebSocketPolicyServerClient(
        PolicyEnvInterface.from_mg_cfg(mission), url=server.url, agent_ids=agents
    ) as client:
        result, _ = single_episode_rollout(
            [client], [0] * len(agents), mission, seed=42, max_action_time_ms=10_000, render_mode="none",
            autostart=False, capture_replay=False,
        )  # fmt: skip
finally:
    server.stop()
print("rewards:", [round(float(reward), 3) for reward in result.rewards])
for episode in read(server.journal):
    print(f"the server answered {episode['steps']} batches and ended: {episode['end']}")
