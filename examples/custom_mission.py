"""Change a mission in code, and measure how a policy does on it.

Time: 10 s
"""

from daf.evaluation import Settings, evaluate
from daf.game import missions
from daf.output_manager import OutputManager

mission = missions.resolve("training_facility_1,max_steps=100")[0]
config = mission.config.model_copy(deep=True)
config.game.max_steps = 60  # any field of mettagrid's MettaGridConfig

evaluation = evaluate(
    ["starter"],
    [("my_facility", config), "training_facility_1,max_steps=100"],
    settings=Settings(episodes=4),
    output=OutputManager(),
)
for name, rows in evaluation.analysis.by_mission.items():
    print(f"{name}: mean reward {rows[0].mean:.3f} per agent")
