"""How good predictions are: metrics of each task, their intervals, and differences of two models.

A resample of the rows is the same as integer weights on them. So each metric sorts its predictions once, and
every resample costs a few passes over arrays: 500 resamples of 27,000 rows, all binary metrics, take about
a second. Point values equal scikit-learn's (tests compare them); a metric that is not defined is NaN.
"""
