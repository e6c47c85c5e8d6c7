"""Changes of engines and spaces under load, with every answer counted: `framelens-perf swap-test`."""
