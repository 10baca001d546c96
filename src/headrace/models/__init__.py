"""The model box: any model behind one name.

Read backend.py (the protocol of what serves a model), box.py (models by name), embedded/ (the
runtime on this machine), store.py and fetch/ (where weights come from).
"""
