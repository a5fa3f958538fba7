"""The deployment: settings, URLs and servers. The product itself is :mod:`credentials`."""
