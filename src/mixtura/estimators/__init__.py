"""The estimators with scikit-learn's interface, and model files."""
