"""Find, label and query runs from Python.

Time: 15 s
"""

import daf
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager

evaluate(
    ["starter", "random"],
    ["training_facility_1,max_steps=60"],
    settings=Settings(episodes=4),
    output=OutputManager(name="first look", tags=["example"], note="two policies on one mission"),
)
runs = daf.runs()
print(runs[["run_id", "kind", "status"]].to_string())
query = "select run_id, kind, value from runs order by value desc"
print(daf.runs_sql(query).to_string())
