SELECT read_metrics()
