from daf.visualization.training_plots import daf_plot_training_curves, daf_plot_learning_dynamics
from daf.visualization.policy_plots import *
