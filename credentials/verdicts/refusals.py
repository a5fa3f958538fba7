"""Why content is not taken, and what was left out of it: one word for each rule, whichever way content comes."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """Why an archive or a repository is refused as a whole; one entry of it broke a rule."""

    # Names (credentials/sources/paths.py)
    PATH_TRAVERSAL = "path_traversal"
    PATH_ABSOLUTE = "path_absolute"
    PATH_DRIVE = "path_drive"
    PATH_BACKSLASH = "path_backslash"
    PATH_CONTROL = "path_control_character"
    PATH_ENCODING = "path_encoding"
    PATH_RESERVED = "path_reserved"
    PATH_TOO_LONG = "path_too_long"
    PATH_TOO_DEEP = "path_too_deep"
    PATH_EMPTY = "path_empty"
    GIT_FOLDER = "git_folder"
    # Names that are each in order, but not together
    DUPLICATE = "duplicate"
    COLLISION_CASE = "collision_case"
    COLLISION_UNICODE = "collision_unicode"
    FILE_AS_FOLDER = "file_as_folder"
    # Sizes
    TOO_MANY_FILES = "too_many_files"
    TOO_MANY_BYTES = "too_many_bytes"
    FILE_TOO_LARGE = "file_too_large"
    # Archives
    NOT_A_ZIP = "not_a_zip"
    TRUNCATED = "truncated"
    PREFIX_DATA = "prefix_data"
    TRAILING_DATA = "trailing_data"
    HIDDEN_DATA = "hidden_data"
    SEVERAL_ENDINGS = "several_endings"
    MULTIPLE_DISKS = "multiple_disks"
    DIRECTORY_TOO_LARGE = "directory_too_large"
    DIRECTORY_INVALID = "directory_invalid"
    HEADER_MISMATCH = "header_mismatch"
    OVERLAP = "overlap"
    ENCRYPTED = "encrypted"
    METHOD_UNSUPPORTED = "method_unsupported"
    DEVICE = "device"
    RATIO = "ratio"
    SIZE_MISMATCH = "size_mismatch"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    DATA_INVALID = "data_invalid"
    # Repositories
    OBJECT_INVALID = "object_invalid"
    # Whatever way it came
    NOTHING_LEFT = "nothing_left"


class Remark(StrEnum):
    """What was left out, or taken otherwise than it came; the import goes on."""

    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    LFS_POINTER = "lfs_pointer"
    GIT_FOLDER = "git_folder"
    RESOURCE_FORK = "resource_fork"
    COMPOSED_NAME = "composed_name"
    UNWRAPPED = "unwrapped"
