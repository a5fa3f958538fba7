"""A reader of ZIP archives that trusts nothing they say: it plans the whole first, then reads what it planned.

After PKWARE's APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from credentials.sources.archive.opening import ZipContent, open_archive

__all__ = ["ZipContent", "open_archive"]
