from daf.visualization.sweep_plots import *
