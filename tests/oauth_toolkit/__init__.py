"""An OAuth provider of which the part that matters is not ours: django-oauth-toolkit, set to rotate.

It looks like a GitLab to the product, runs as a process of its own on 127.0.0.1, and its refresh tokens serve
once: a second use ends every token of the authorization (RFC 9700 section 4.14.2). Issuing, rotating, checking
and revoking are the toolkit's; ours are the addresses, a page to make grants and faults by, and counting.
"""
