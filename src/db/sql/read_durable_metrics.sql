SELECT read_durable_metrics()
