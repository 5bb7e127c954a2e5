"""Record episodes, and make a GIF and a player in the browser of the best one.

Time: 15 s
"""

from pathlib import Path

from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from daf.replaying import daf_replay_gif, daf_replay_html

evaluation = evaluate(
    ["starter"],
    ["training_facility_1,max_steps=100"],
    settings=Settings(episodes=2, save_replays="best"),
    output=OutputManager(),
)
for replay in sorted(Path(evaluation.run_dir / "replays").glob("*.json.z")):
    print("replay:", replay)
    name = replay.name.removesuffix(".json.z")
    print("GIF:   ", daf_replay_gif(replay, replay.with_name(f"{name}.gif")).path)
    print("player:", daf_replay_html(replay, replay.with_name(f"{name}.html")).path)
