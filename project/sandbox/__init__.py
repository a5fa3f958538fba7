"""Emulated GitHub, GitLab, Bitbucket Cloud and Gitea: one process on loopback, for the demo and the tests.

It knows nothing of the product and uses only the standard library and the git binary. See README.md here.
"""
