SELECT metrics_summary()
