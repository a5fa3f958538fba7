"""What people read where content is refused, or something of it was left out: what is wrong, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from credentials.verdicts import Text
from credentials.verdicts.refusals import Refusal, Remark


@dataclass(frozen=True, slots=True)
class Words:
    """``wrong`` says what is the case, ``next`` what the person does about it. Both may mention ``entry`` and
    ``limit``."""

    wrong: Text
    next: Text


_RENAME: Final = _("Rename it, then import again.")
_RENAME_ONE: Final = _("Rename or remove one of the two, then import again.")
_MAKE_AGAIN: Final = _("Make the archive again from the files, then upload the new one.")
_UPLOAD_AGAIN: Final = _("Upload it again. If it fails again, make the archive anew from the files.")
_ONLY_A_FOLDER: Final = _(
    "Import only the folder you need, or ask an administrator whether the limit can be raised."
)
_DISTRUST: Final = _("Do not use this archive. Ask whoever made it for the files themselves.")

REFUSALS: Final[Mapping[Refusal, Words]] = {
    Refusal.PATH_TRAVERSAL: Words(
        _("The name “%(entry)s” leads through “.” or “..”, and could point outside of the library."),
        _("Make the archive again from inside the folder you want to import, then upload the new one."),
    ),
    Refusal.PATH_ABSOLUTE: Words(
        _("The name “%(entry)s” begins with “/”, so it means a place on a computer, not in the library."),
        _MAKE_AGAIN,
    ),
    Refusal.PATH_DRIVE: Words(
        _("The name “%(entry)s” begins with the letter of a drive."),
        _("Take the drive out of the name, then import again."),
    ),
    Refusal.PATH_BACKSLASH: Words(
        _("The name “%(entry)s” holds a backslash. Some computers read it as a folder, others as a letter."),
        _(
            "If it stands for a folder, make the archive again with another program. If it belongs to the name, "
            "rename the file. Then import again."
        ),
    ),
    Refusal.PATH_CONTROL: Words(
        _("The name “%(entry)s” holds characters that cannot be seen, or that make it read as another name."),
        _("Type the name anew without them, then import again."),
    ),
    Refusal.PATH_ENCODING: Words(
        _("The letters of the name “%(entry)s” cannot be told for certain: programs read them differently."),
        _(
            "Make the archive again with a program that writes names in Unicode, such as 7-Zip with the parameter "
            "cu=on, or use only the letters A to Z in names. Then import again."
        ),
    ),
    Refusal.PATH_RESERVED: Words(
        _("The name “%(entry)s” cannot be used on Windows."),
        _(
            'Rename it: without any of : < > " | ? *, without a dot or a space at the end, and other than con, prn, '
            "aux, nul, com1 or lpt1. Then import again."
        ),
    ),
    Refusal.PATH_TOO_LONG: Words(
        _("The name “%(entry)s” is longer than %(limit)s bytes. Letters beyond A to Z count two to four."),
        _("Shorten the names of the file or of its folders, then import again."),
    ),
    Refusal.PATH_TOO_DEEP: Words(
        _("“%(entry)s” lies in more than %(limit)s folders, one in the other."),
        _("Move it further up, then import again."),
    ),
    Refusal.PATH_EMPTY: Words(
        _("A part of the name “%(entry)s” is empty."),
        _MAKE_AGAIN,
    ),
    Refusal.GIT_FOLDER: Words(
        _("“%(entry)s” could be taken for Git's own folder. Programs that look into it could be misled."),
        _RENAME,
    ),
    Refusal.DUPLICATE: Words(
        _("“%(entry)s” is there twice, and nobody can tell which one is meant."),
        _MAKE_AGAIN,
    ),
    Refusal.COLLISION_CASE: Words(
        _(
            "“%(entry)s” and another name differ only in capital and small letters. On Windows and macOS they are "
            "the same."
        ),
        _RENAME_ONE,
    ),
    Refusal.COLLISION_UNICODE: Words(
        _("“%(entry)s” and another name look the same and are the same on some computers."),
        _RENAME_ONE,
    ),
    Refusal.FILE_AS_FOLDER: Words(
        _("“%(entry)s” is a file and a folder at the same time."),
        _RENAME_ONE,
    ),
    Refusal.TOO_MANY_FILES: Words(
        _("There are more files than one import may bring: %(limit)s."),
        _ONLY_A_FOLDER,
    ),
    Refusal.TOO_MANY_BYTES: Words(
        _("All files together are larger than one import may bring: %(limit)s."),
        _ONLY_A_FOLDER,
    ),
    Refusal.FILE_TOO_LARGE: Words(
        _("The file “%(entry)s” is larger than one file may be: %(limit)s."),
        _("Remove it or make it smaller, or ask an administrator whether the limit can be raised."),
    ),
    Refusal.NOT_A_ZIP: Words(
        _("The file is not a ZIP archive."),
        _(
            "Choose a file that ends in .zip. Other archives, such as .rar, .7z or .tar.gz, must be made anew as ZIP."
        ),
    ),
    Refusal.TRUNCATED: Words(
        _("The archive ends too early: a part of it is missing."),
        _UPLOAD_AGAIN,
    ),
    Refusal.PREFIX_DATA: Words(
        _("Something stands in front of the archive. It may be a program that unpacks itself."),
        _("Unpack it on your computer and make a plain ZIP archive from the files, then upload that."),
    ),
    Refusal.TRAILING_DATA: Words(
        _("Something stands after the end of the archive."),
        _MAKE_AGAIN,
    ),
    Refusal.HIDDEN_DATA: Words(
        _("The archive holds data that belong to none of its files. Something may be hidden there."),
        _MAKE_AGAIN,
    ),
    Refusal.SEVERAL_ENDINGS: Words(
        _("The archive has several lists of files. Which one counts depends on the program that reads it."),
        _MAKE_AGAIN,
    ),
    Refusal.MULTIPLE_DISKS: Words(
        _("The archive is one part of several."),
        _("Put the parts together into one archive, then upload that."),
    ),
    Refusal.DIRECTORY_TOO_LARGE: Words(
        _("The archive's list of files is larger than it may be: %(limit)s."),
        _("Put fewer files into the archive, or shorten their names, then upload it again."),
    ),
    Refusal.DIRECTORY_INVALID: Words(
        _("The archive's list of files is damaged."),
        _UPLOAD_AGAIN,
    ),
    Refusal.HEADER_MISMATCH: Words(
        _("The archive says two different things about “%(entry)s”. Programs would unpack it differently."),
        _MAKE_AGAIN,
    ),
    Refusal.OVERLAP: Words(
        _("“%(entry)s” shares its data with something else in the archive. Honest programs never do this."),
        _DISTRUST,
    ),
    Refusal.ENCRYPTED: Words(
        _("“%(entry)s” is locked with a password."),
        _("Make the archive again without a password, then upload the new one."),
    ),
    Refusal.METHOD_UNSUPPORTED: Words(
        _("“%(entry)s” is packed in a way that not every program can read."),
        _(
            "Make the archive again with the usual method, which programs call Deflate, then upload the new one."
        ),
    ),
    Refusal.DEVICE: Words(
        _(
            "“%(entry)s” is neither a file nor a folder. It stands for a device or for a way between programs."
        ),
        _("Leave it out of the archive, then upload it again."),
    ),
    Refusal.RATIO: Words(
        _(
            "What is packed would become more than %(limit)s times larger, as in archives made to fill up disks."
        ),
        _("If the files are meant to be so, remove the large one or import it by Git."),
    ),
    Refusal.SIZE_MISMATCH: Words(
        _("The size that the archive states for “%(entry)s” is not true."),
        _UPLOAD_AGAIN,
    ),
    Refusal.CHECKSUM_MISMATCH: Words(
        _("The content of “%(entry)s” is not what was packed: it was damaged on the way."),
        _UPLOAD_AGAIN,
    ),
    Refusal.DATA_INVALID: Words(
        _("The content of “%(entry)s” is damaged and cannot be unpacked."),
        _UPLOAD_AGAIN,
    ),
    Refusal.OBJECT_INVALID: Words(
        _("The repository holds something that Git itself calls damaged or dangerous."),
        _("Ask the owner of the repository to run “git fsck” and to mend what it names."),
    ),
    Refusal.NOTHING_LEFT: Words(
        _("There is no file to import."),
        _("Choose another folder, or add the files first. Links and Git's own folder are not imported."),
    ),
}

REMARKS: Final[Mapping[Remark, Text]] = {
    Remark.SYMLINK: _(
        "A link to another file. Left out; what it points to is imported if it is here itself."
    ),
    Remark.SUBMODULE: _("Another repository inside this one. Left out; import it on its own if you need it."),
    Remark.LFS_POINTER: _(
        "Only a note where Git LFS keeps the content. Imported as the note it is; add the content yourself if you "
        "need it."
    ),
    Remark.GIT_FOLDER: _("Git's own folder. Left out: it holds the history, not the content."),
    Remark.RESOURCE_FORK: _("A folder in which macOS keeps what it knows about files. Left out."),
    Remark.COMPOSED_NAME: _("The letters of the name were joined with their accents. It looks as before."),
    Remark.UNWRAPPED: _("A folder around everything. Left out; what was in it is now at the top."),
}

_SIZES: Final = frozenset({Refusal.TOO_MANY_BYTES, Refusal.FILE_TOO_LARGE, Refusal.DIRECTORY_TOO_LARGE})
_SEEN_AT: Final = _("It was noticed at “%(entry)s”.")
_NAMELESS: Final = _("an entry without a name")


def explain(refusal: Refusal, *, entry: str = "", limit: int | None = None) -> Text:
    """What is wrong and what to do, in the language that is active.

    ``entry`` and ``limit`` are those of :class:`credentials.errors.ContentRefused`; a limit in bytes is written
    as a size.
    """
    words = REFUSALS[refusal]
    values = {"entry": entry or str(_NAMELESS), "limit": _written(refusal, limit)}
    sentences = [str(words.wrong)]
    if entry and "%(entry)s" not in sentences[0]:
        sentences.append(str(_SEEN_AT))
    return " ".join(sentence % values for sentence in [*sentences, str(words.next)])


def describe(remark: Remark) -> Text:
    """What something is, and what was done with it."""
    return REMARKS[remark]


def _written(refusal: Refusal, limit: int | None) -> str:
    if limit is None:
        return "?"
    if refusal in _SIZES:
        return str(filesizeformat(limit))
    return str(number_format(limit, use_l10n=True, force_grouping=True))
