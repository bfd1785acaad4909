"""What all questions share: facts of the machine, a fair clock, who runs beside us, and the page
that is printed and written.
"""
