"""Draw training tasks from a curriculum by learning progress.

Time: 5 s
"""

from daf import DAFCurriculumConfig, DAFCurriculumManager

manager = DAFCurriculumManager(
    DAFCurriculumConfig(max_active_tasks=8, enable_learning_progress=True, missions=["training_facility_1"])
)
manager.add_task("short", difficulty=0.2)
manager.add_task("long", difficulty=0.8)
for episode in range(20):
    task = manager.get_next_task()
    manager.update_task_performance(task.key, 0.1 * episode if task.key == "short" else 0.0)
stats = manager.get_curriculum_stats()
for name, task in stats["tasks"].items():
    print(f"{name}: {task['episodes']} episodes, mean {task['mean']:.2f}, drawn with probability {task['weight']:.2f}")
print(f"mean of the last results: {stats['avg_performance']:.2f}")
