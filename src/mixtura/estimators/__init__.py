"""The classes in scikit-learn's manner, and the file of a model."""
