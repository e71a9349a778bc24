"""The exercises, a file a lesson: each `lesson_NN.py` holds EXERCISES, from names to exercises."""
