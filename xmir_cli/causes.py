"""Why an input is left out: the stable first word of its skip line, counted at the end of a run.

Scripts may rely on these words.
"""

from enum import StrEnum


class Cause(StrEnum):
    """A cause with its meaning; the table in the manual is made of them."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> "Cause":
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    # files
    MISSING = "missing", "there is no such file"
    PERMISSION = "permission", "the file may not be read"
    SYMLINK_LOOP = "symlink-loop", "its links lead round in a circle"
    NAME_TOO_LONG = "name-too-long", "no file can have this name"
    BAD_PATH = "bad-path", "the text is no name of a file"
    NOT_REGULAR = "not-regular", "it is a folder, a pipe or a device"
    UNREADABLE = "unreadable", "the system refuses to read it"
    EMPTY = "empty", "the file has no bytes"
    # pictures
    NOT_AN_IMAGE = "not-an-image", "the content is none of the image formats"
    TRUNCATED = "truncated", "the file ends early"
    CORRUPT = "corrupt", "the file is damaged"
    TOO_LARGE = "too-large", "more pixels, bytes or scans than are allowed"
    BAD_SIZE = "bad-size", "a side of no pixels, or one 200 times as long as the other"
    BAD_VALUES = "bad-values", "the pixels are no finite numbers"
    NO_DECODER = "no-decoder", "nothing installed here decodes it"
    MISSING_TAG = "missing-tag", "a tag that the pixels need is not there, or has no usable value"
    CONTRADICTORY = "contradictory", "the file's tags contradict each other, or its pixels"
    NO_PIXELS = "no-pixels", "a DICOM file without an image"
    MULTI_FRAME = "multi-frame", "several frames and none named: FILE#frame=1"
    BAD_FRAME = "bad-frame", "the file has no such frame"
    # tables and lists
    DUPLICATE_ID = "duplicate-id", "an earlier input has the same id"
    NO_LABEL = "no-label", "the column label is empty"
    RARE_CLASS = "rare-class", "its class has fewer images than a batch takes of each"
    TWO_CLASSES = "two-classes", "the same picture has another label elsewhere"
    # embeddings
    BAD_VECTOR = "bad-vector", "the embedding is zero, NaN or infinite"
    BAD_FEATURES = "bad-features", "a value of the feature map is beyond float16"
    # regions
    REGION_OUTSIDE = "region-outside", "the region reaches beyond the image"
    REGION_NOT_SEEN = "region-not-seen", "the network's crop leaves the region out"
    REGION_BLANK = "region-blank", "the region adds nothing to the embedding"
    # records
    BAD_RECORD = "bad-record", "the line is no record, or a key has a value that it cannot have"
    TOO_LONG = "too-long", "a line of more than a million characters"
    NO_ANSWER = "no-answer", "the query found nothing near enough, so that there is no pair"
    CHANGED = "changed", "an image, a map or a similarity is another than recorded"
    NO_MAP = "no-map", "the record names no saliency map"
    BAD_MAP = "bad-map", "the saliency map cannot be read"
    WRONG_SIZE = (
        "wrong-size",
        "the map has another size than the network's input, or the mask than its image",
    )
    NO_MASK = "no-mask", "no mask or box of the image is known"
    EMPTY_MASK = "empty-mask", "nothing is marked of what the network saw of the image"
    FULL_MASK = "full-mask", "all is marked of what the network saw of the image"
    BLANK_MAP = "blank-map", "the map has no positive value"
    BAD_MASK = "bad-mask", "the mask or the boxes of the image cannot be used"
    BAD_INPUT = "bad-input", "a file that the record names cannot be used"
    NO_NEGATIVE = "no-negative", "the index has too few images of another label"
    NO_CONTRAST = "no-contrast", "there is no other result to contrast with"
    NO_CONTROL = "no-control", "a control that is asked for has no map beside this one"
    REFUSED = "refused", "the method has no map of this network or target, others have"
    NAN = "nan", "the network gives a similarity that is no number"
    NOT_USABLE = "not-usable", "the file is none that xmir knows, or it is damaged"
