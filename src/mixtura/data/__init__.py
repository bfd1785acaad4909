"""The rows as fits see them: scales, the recorded step, transforms, micro-clusters."""
