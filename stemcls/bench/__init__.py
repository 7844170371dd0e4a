"""What `stemcls bench` measures: ours beside a baseline, interleaved."""
