"""Compare policies on identical episodes, with a corrected p value for each pair.

Time: 15 s
"""

from rich.console import Console

from daf import daf_compare_policies

report = daf_compare_policies(
    ["starter", "noop", "random"], ["training_facility_1,max_steps=100"], episodes_per_mission=8
)
report.print_summary(Console())
for (a, b), pair in report.pairwise_comparisons.items():
    print(f"{a} and {b}: p = {pair.p_value:.3g}, effect size {pair.effect_size:.2f}")
