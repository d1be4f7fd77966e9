"""The photos and labels of a Kaggle competition."""

import os
import shutil
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests
from kagglehub import competition_download
from kagglehub.exceptions import CredentialError, KaggleApiHTTPError, UnauthenticatedError

from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.photos.labels import check_id, read_labels

CREDENTIALS = (
    "make a token at www.kaggle.com/settings and put it into ~/.kaggle/access_token or KAGGLE_API_TOKEN, "
    "or an older kaggle.json into ~/.kaggle/"
)


def fetch_competition(
    images: Path,
    competition: str,
    labels: str,
    photos: str,
    class_names: str | None,
    only: Collection[str] | None,
    **columns: Any,
) -> list[Label]:
    """Download a competition's files and link its labelled photos into `images`; returns their labels.

    `labels`, `photos` (`.`: all) and `class_names` are paths within these files, which stay in kagglehub's cache.
    `columns` go to `read_labels`.

    Raises:
        StudyError: a path leaves these files, there are no credentials, the rules are not accepted, or there
            is no network.
    """
    for name in (labels, class_names, photos if photos != "." else None):
        if name is not None:
            check_id(name, "data")
    source = _download(competition)
    names = source / class_names if class_names is not None else None
    listed = read_labels(source / labels, class_names=names, only=only, **columns)
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    for label in listed:
        photo, target = source / photos / label.image_id, images / label.image_id
        if photo.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(photo, target)
            except OSError:  # another disk
                shutil.copyfile(photo, target, follow_symlinks=False)
    return listed


def _download(competition: str) -> Path:
    page = f"www.kaggle.com/competitions/{competition}"
    try:
        return Path(competition_download(competition))
    except (UnauthenticatedError, CredentialError, ValueError) as error:
        raise StudyError(f"{page}: Kaggle asks for an account ({error}): {CREDENTIALS}") from error
    except KaggleApiHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            mend = f"accept the rules at {page}/rules with the account of your token"
        else:
            mend = "mend `competition` in the study file, or try again later"
        raise StudyError(f"{page}: Kaggle answers {status}: {mend}") from error
    except requests.RequestException as error:
        raise StudyError(f"{page}: cannot be reached ({type(error).__name__}): check the network") from error
