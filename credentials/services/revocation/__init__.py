"""Kills tokens that left their credential, at their host, and keeps the receipt.

``requests`` makes a row out of sealed envelopes, ``attempts`` asks the host until the row is final,
``asking`` and ``batches`` are the conversations, ``receipts`` is what people are shown.
"""
