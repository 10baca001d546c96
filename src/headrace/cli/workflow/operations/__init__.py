"""Operations that do what other commands do, with their code: one to a file.

They live beside the commands because they need the same rooms: the whole service, releases, training.
"""
