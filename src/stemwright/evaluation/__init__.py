"""MetricSet how well songs are separated, against their true stems."""
