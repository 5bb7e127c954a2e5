"""Evaluate two policies on a mission, and read the result.

Time: 10 s
"""

from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager

evaluation = evaluate(
    ["starter", "random"],
    ["training_facility_1,max_steps=100"],
    settings=Settings(episodes=4),
    output=OutputManager(),  # below $DAF_OUTPUT_DIR, else ./daf_output
)
for row in evaluation.analysis.ranking:
    print(f"{row.rank}. {row.name}: mean reward {row.mean:.3f} per agent")
print("report:", evaluation.run_dir / "report.html")
