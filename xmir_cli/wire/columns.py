"""Columns of an item that its file tells, unless a manifest does."""

TAG_COLUMNS = ("modality", "view_position", "burned_in_annotation", "patient")  # DICOM's
DECODED = "decoded"  # what had to be done to the picture, each with a SEPARATOR between
SEPARATOR = ", "
PATIENT_HASH = "hmac-"  # starts a patient that is the keyed hash of a PatientID
