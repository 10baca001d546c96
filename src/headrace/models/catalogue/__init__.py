"""The catalogue: what is known of models, so that one can be chosen with reasons.

Read entry.py (what is known of one), catalogue.py (finding one), load.py (the user's file over
ours), choose.py (which meet what is wanted), cost.py (what tokens cost, there and on one's own
machine), served.py and retirement.py (the models in use and their last days). The facts are in
data/, one file a provider.
"""
