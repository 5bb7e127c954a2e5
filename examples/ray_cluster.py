"""Play episodes on a Ray cluster; without an address, one on this machine starts and ends with the call.

Needs the extra `ray`.

Time: 40 s
"""

from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager

evaluation = evaluate(
    ["starter", "random"],
    ["training_facility_1,max_steps=100"],
    settings=Settings(episodes=8, executor="ray", jobs=2),
    output=OutputManager(),
)
for row in evaluation.analysis.ranking:
    print(f"{row.rank}. {row.name}: mean reward {row.mean:.3f} per agent")
