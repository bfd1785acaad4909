"""What all benchmarks share: facts about the machine, timing, the contenders, the data sets, and
the page that is printed and written.
"""
