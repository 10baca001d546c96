"""Server: one running service, from its files to its open port.

Read boot.py (what lives as long as the process), load.py (a service from its files), reload.py
(swapping it when they change), run.py (`headrace up`).
"""
