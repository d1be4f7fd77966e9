"""Hostile files, made on the spot: each attacks who reads it. A case is what to make and what has to come of it."""

import io
import json
import os
import pickle
import random
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MAX_PIXELS = 1_000_000
MARKER = "code was run"


class Code:
    """A pickle of this makes the marker when it is loaded."""

    def __init__(self, folder: Path):
        self.marker = folder / MARKER

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def picture(width: int = 60, height: int = 40) -> Image.Image:
    small = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = zlib.compress(bytes((3 * 60 + 1) * 40))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def patched(content: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    """`content` with `new` in place of the bytes `offset` after `mark`."""
    start = content.index(mark) + offset
    return content[:start] + new + content[start + len(new) :]


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes, dict[str, Any]], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content, facts in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for key, value in facts.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


SCAN, END = b"\xff\xda", b"\xff\xd9"


def scans(repeats: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    whole = encoded("JPEG", Image.new("RGB", (800, 800)), progressive=True)
    return whole[:-2] + whole[whole.rindex(SCAN) : -2] * repeats + END


def scans_of_a_channel(repeats: int) -> bytes:
    """A baseline JPEG whose scans hold one channel each, the first again and again."""
    whole = encoded("JPEG", Image.new("RGB", (800, 800)))
    channels = [SCAN + bytes([0, 8, 1, channel, table, 0, 63, 0, 0]) for channel, table in ((1, 0), (2, 17), (3, 17))]
    return whole[: whole.index(SCAN)] + channels[0] * repeats + b"".join(channels) + END


def no_scans(repeats: int) -> bytes:
    """An honest progressive JPEG with the bytes of a scan's marker in a comment and behind its end; fill bytes."""
    whole = encoded("JPEG", progressive=True, comment=SCAN * repeats)
    return whole.replace(SCAN + b"\0", b"\xff" * repeats + SCAN + b"\0") + SCAN * repeats


def photo_files() -> dict[str, tuple[bytes, str]]:
    """Photos by name: their bytes, and the status that the catalog gives them."""
    large, no_image, undecodable = f"larger than {MAX_PIXELS} pixels", "not an image", "cannot be decoded"
    many_scans = "more than 50 scans"
    jpeg, wavelet = encoded("JPEG"), encoded("JPEG2000")
    tiff, canvas = encoded("TIFF"), encoded("WEBP", save_all=True, append_images=[picture().rotate(90)])
    sides, words = struct.pack("<HH", 65535, 65535), struct.pack(">II", 60000, 60000)
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x0112, 3, 0xFFFFFFFF, 0xFFFFFFFF) * 5000
    # A folder of the EXIF data that is its own sub-folder, and one whose entries all are the same megabytes of text.
    circle = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + bytes(4)
    texts = b"".join(struct.pack("<HHII", tag, 2, 5_000_000, 26 + 2 + 12 * 60_000) for tag in range(60_000))
    start = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8769, 4, 1, 26) + bytes(4)
    folder = start + struct.pack("<H", 60_000) + texts + b"=" * 5_000_000
    squeezed = zlib.compress(bytes(80_000_000))
    return {
        "dimensions.png": (png(2**31 - 1, 2**31 - 1), large),
        "nothing.png": (png(0, 40), no_image),
        "bomb.png": (encoded("PNG", Image.new("1", (5000, 5000))), large),
        "bomb.ppm": (b"P6 60000 60000 255\n" + bytes(100), large),
        "bomb.bmp": (patched(encoded("BMP"), b"BM", 18, struct.pack("<ii", 60000, 60000)), large),
        "bomb.tif": (patched(tiff, struct.pack("<HHI", 256, 4 if b"\0\1\4\0" in tiff else 3, 1), 8, b"\xff\xff"), large),
        "frame-beyond-screen.gif": (patched(encoded("GIF"), b"\x2c\0\0\0\0" + struct.pack("<HH", 60, 40), 5, sides), large),
        "canvas.webp": (patched(canvas, b"VP8X", 12, (16382).to_bytes(3, "little") * 2), large),
        "box.jp2": (patched(wavelet, b"ihdr", 4, words), large),
        "box-of-another-stream.jp2": (patched(patched(wavelet, b"\xff\x51", 6, words), b"\xff\x51", 22, words), undecodable),
        "text-bomb.png": (png(60, 40, chunk(b"zTXt", b"k\0\0" + squeezed)), undecodable),
        "profile-bomb.png": (png(60, 40, chunk(b"iCCP", b"k\0\0" + squeezed)), undecodable),
        "scans.jpg": (scans(2000), many_scans),
        "scans-and-padding.jpg": (scans(1000) + bytes(12_000_000), many_scans),
        "scans-of-a-channel.jpg": (scans_of_a_channel(2000), many_scans),
        "no-scans.jpg": (no_scans(1000), "ok"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "cut.png": (encoded("PNG")[:300], "truncated"),
        "giant-exif.jpg": (encoded("JPEG", exif=exif[:65000]), "ok"),
        "exif-in-a-circle.png": (png(60, 40, chunk(b"eXIf", circle)), "ok"),
        "exif-of-one-text-many-times.png": (png(60, 40, chunk(b"eXIf", folder)), "ok"),
        "giant-exif.png": (png(60, 40, chunk(b"eXIf", b"MM\0*\0\0\0\x08" + b"\xff" * 5_000_000)), "ok"),
        "photo-and-zip.jpg": (jpeg + zipped({"../x.py": b"evil"}), "ok"),
        "photo-and-page.jpg": (jpeg[:2] + b"\xff\xfe\0\x1b<script>alert(1)</script>" + jpeg[2:], "ok"),
        "zip.jpg": (zipped({"a.jpg": jpeg}), no_image),
        "page.jpg": (b"<html><script>alert(1)</script></html>", no_image),
        "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', no_image),
        "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(%pipe%touch x) (w) file\nshowpage\n", no_image),
        "pickle.png": (pickle.dumps(Code(Path("/nowhere"))), no_image),
        "program.jpg": (b"\x7fELF" + bytes(500), no_image),
        "empty.jpg": (b"", "empty file"),
        "dot.png": (encoded("PNG", Image.new("RGB", (1, 1))), "too small (1x1 px)"),
        "float.tif": (encoded("TIFF", Image.new("F", (20, 20))), "32-bit pixels"),
    }  # fmt: skip


def photo_traps(folder: Path, secret: Path) -> dict[str, str]:
    """Makes names in a photo folder that are no photos of it; returns the status that each has to get."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "out.png").symlink_to(secret)
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "album").symlink_to(secret.parent)
    with (folder / "sparse.jpg").open("wb") as handle:
        handle.write(encoded("JPEG"))
        handle.truncate(20 * 10**9)
    outside = "outside the photo folder"
    return {
        "pipe.jpg": "not a file", "folder.jpg": "not a file", "out.png": outside, "zero.png": outside,
        "loop.png": "cannot be decoded", f"album/{secret.name}": outside, f"../{secret.name}": outside,
        str(secret): outside, "sparse.jpg": f"larger than {MAX_PIXELS} pixels can be", "a" * 3000: "cannot be decoded",
    }  # fmt: skip


def _rows(*rows: str) -> bytes:
    return "\n".join(("image_id,label", *rows, "")).encode()


PATH, FORMULA, LETTERS = "is not a plain path", "begins as a spreadsheet's formula", "holds a control character"
TABLES: dict[str, tuple[bytes, str]] = {
    "parent": (_rows("a.jpg,0", "../../etc/passwd,0"), f"row 3: '../../etc/passwd' {PATH}"),
    "parent within": (_rows("a/../../x.jpg,0"), PATH),
    "absolute": (_rows("/etc/passwd,0"), PATH),
    "backslash": (_rows("..\\..\\x.jpg,0"), PATH),
    "nul in an id": (_rows("a\0.jpg,0"), PATH),
    "escape in an id": (_rows("\x1b[2J.jpg,0"), PATH),
    "line end in an id": (_rows('"a\nb.jpg",0'), PATH),
    "nul in a label": (_rows("a.jpg,sick\0"), LETTERS),
    "escape in a label": (_rows("a.jpg,\x1b[31mred"), LETTERS),
    "line end in a label": (_rows('a.jpg,"sick\nwell"'), LETTERS),
    "no letter of XML": (_rows("a.jpg,sick\uffff"), LETTERS),
    "formula as a label": (_rows("a.jpg,=cmd|' /C calc'!A0"), FORMULA),
    "formula as an id": (_rows("=cmd().jpg,0"), FORMULA),
    "formula with a plus": (_rows("a.jpg,+cmd|' /C calc'!A0"), FORMULA),
    "formula with a minus": (_rows("a.jpg,-2+cmd|' /C calc'!A0"), FORMULA),
    "formula with an at": (_rows('a.jpg,@HYPERLINK("x")'), FORMULA),
    "long label": (_rows("a.jpg," + "x" * 100_000), "is too long"),
    "huge field": (_rows("a.jpg," + "x" * 1_000_000), "field larger than field limit"),
    "UTF-16": (_rows("a.jpg,0").decode().encode("utf-16"), "not UTF-8"),
    "two encodings": (_rows("é.jpg,0") + "è.jpg,1\n".encode("latin-1"), "row 3: not UTF-8"),
    "only a byte order mark": (b"\xef\xbb\xbf\n\n", "the file is empty"),
    "columns twice": (b"image_id,label,label\na.jpg,0,1\n", "two columns 'label'"),
    "two labels": (_rows("a.jpg,0", "a.jpg,1"), "listed with two labels"),
    "open quote": (_rows('"a.jpg,0') + b"b.jpg,0\n" * 50_000, "not CSV"),
    "more fields": (_rows("a.jpg,0" + "," * 99_999 + "x"), "100001 fields, but the header has 2"),
    "a photo": (encoded("JPEG"), "not UTF-8"),
    "zeros": (bytes(10_000), "no column 'image_id'"),
}
CLASS_NAMES: dict[str, tuple[bytes, str]] = {
    "deep JSON": (b"[" * 200_000, "not JSON"),
    "enormous number": (b'{"0": ' + b"9" * 10_000 + b"}", "not JSON"),
    "half a character": (b'{"0": "\\ud800"}', LETTERS),
    "formula": (b'{"0": "=1+cmd()"}', FORMULA),
    "no names": (b'{"0": {"a": 1}}', "not an object of names"),
}


def _zip_with(name: str, **facts: Any) -> bytes:
    info = zipfile.ZipInfo(name)
    for key, value in facts.items():
        setattr(info, key, value)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "../../../secret")
    return buffer.getvalue()


def _header(form: int = tarfile.GNU_FORMAT, **facts: Any) -> bytes:
    entry = tarfile.TarInfo("class/1.jpg")
    for key, value in facts.items():
        setattr(entry, key, value)
    return entry.tobuf(form)


def archive_files() -> dict[str, tuple[bytes, str]]:
    """Archives by name: their bytes, and what the refusal says. Bombs need `FREE_BYTES` to be a megabyte."""
    link, damaged, bomb = "is a link or a device", "not a zip or tar file, or damaged", "exceeds what an archive may"
    target = {"linkname": "../../../secret"}
    one, unwanted = ("class/1.jpg", b"1", {}), ("docs/zeros", bytes(20_000_000), {})
    encrypted = bytearray(zipped({"class/1.jpg": b"1"}))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    no_utf8 = zipped({"class/é.jpg": b"1"}).replace("é".encode(), b"\xff\xff")
    name = {"type": tarfile.GNUTYPE_LONGNAME}
    return {
        "slip.zip": (zipped({"class/1.jpg": b"1", "../../evil.jpg": b"evil"}), PATH),
        "slip within.zip": (zipped({"class/../../../evil.jpg": b"evil"}), PATH),
        "slip.tar": (tarred(one, ("../../evil.jpg", b"evil", {})), PATH),
        "absolute.zip": (zipped({"/etc/evil.jpg": b"evil"}), PATH),
        "absolute.tar": (tarred(("/etc/evil.jpg", b"evil", {})), PATH),
        "backslash.zip": (zipped({"..\\..\\evil.jpg": b"evil"}), PATH),
        "escape.tar": (tarred(("class/\x1b[2J.jpg", b"evil", {})), PATH),
        "link.zip": (_zip_with("class/1.jpg", external_attr=(stat.S_IFLNK | 0o777) << 16), link),
        "link.tar": (tarred(("class/1.jpg", b"", {"type": tarfile.SYMTYPE, **target})), link),
        "linked folder.tar": (tarred(("class", b"", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("class/1.jpg", b"", {})), link),
        "hard link.tar": (tarred(("class/1.jpg", b"", {"type": tarfile.LNKTYPE, **target})), link),
        "device.tar": (tarred(("class/1.jpg", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5})), link),
        "pipe.tar": (tarred(("class/1.jpg", b"", {"type": tarfile.FIFOTYPE})), link),
        "bomb.zip": (zipped({"class/1.jpg": bytes(20_000_000)}), bomb),
        "bomb.tar.xz": (tarred(("class/1.jpg", bytes(20_000_000), {}), mode="w:xz"), bomb),
        "bomb on the way.tar.gz": (tarred(unwanted, ("photos/class/1.jpg", b"1", {}), mode="w:gz"), bomb),
        "nested.zip": (zipped({"class/inner.zip": zipped({"../../evil.jpg": b"evil"})}), "no photos in its sub-folders"),
        "twice.tar": (tarred(one, one), "was unpacked before"),
        "file and folder.tar": (tarred(("class", b"1", {}), one), "cannot be unpacked"),
        "encrypted.zip": (bytes(encrypted), "encrypted"),
        "no name.zip": (no_utf8, damaged),
        "endless name.tar": (_header(size=4 * 10**9, **name), damaged),
        "names of names.tar": (_header(size=0, **name) * 2000, damaged),
        "backwards.tar": (_header(size=-(10**6)), damaged),
        # An extended header of three blocks, whose member ends, so it says, where that header begins.
        "in a circle.tar": (tarred(one)[:1024] + _header(size=-1536, form=tarfile.PAX_FORMAT), damaged),
        "cut.tar.gz": (tarred(one, mode="w:gz")[:60], damaged),
        "page.zip": (b"<script>alert(1)</script>", damaged),
        "empty.zip": (b"", damaged),
    }  # fmt: skip


STUDY = (
    "data: {leaves: {source: demo}}\nsplits: {main: {dataset: leaves, test: 9}}\nexperiments: {first: {split: main}}\n"
)


def _study(**keys: str) -> str:
    """The text of a study whose one experiment, or one of whose sections, is changed."""
    return STUDY + "".join(f"{key}: {value}\n" for key, value in keys.items())


def _first(entry: str) -> str:
    return STUDY.replace("first: {split: main}", f"first: {{split: main, {entry}}}")


def _bomb(levels: int, open_: str, close: str) -> str:
    """Values that hold nine of the values above them: nine to the power of `levels` in all."""
    lines = [f"a{n}: &a{n} {open_}{', '.join([f'*a{n - 1}'] * 9)}{close}" for n in range(1, levels)]
    return "\n".join([f"a0: &a0 {open_ if open_ == '[' else '{k: '}x{close[-1:]}", *lines, STUDY])


YAML = "not valid YAML"
STUDIES: dict[str, tuple[str, str]] = {
    "object": (_study(title="!!python/object/apply:os.system ['touch \"code was run\"']"), "could not determine a constructor"),
    "module": (_study(title="!!python/module:antigravity"), "could not determine a constructor"),
    "name": (_study(title="!!python/name:os.system"), "could not determine a constructor"),
    "new object": (_study(title="!!python/object/new:subprocess.Popen [[touch, x]]"), "could not determine a constructor"),
    "alias bomb": (_bomb(12, "[", "]"), "aliases"),
    "merge bomb": (_bomb(12, "{<<: [", "]}"), "aliases"),
    "alias of itself": ("experiments: &all {first: *all}\n" + STUDY.replace("experiments", "overfit"), "aliases"),
    "deep nesting": (_study(title="[" * 30_000), YAML),
    "larger than a page": (_study(description="x" * 200_000), "larger than"),
    "enormous number": (_study(seed="9" * 5000), YAML),
    "large number": (_first("epochs: 99999999999999999999"), "beyond every number"),
    "infinity": (_first("learning_rate: .inf"), "beyond every number"),
    "infinity in words": (_first("learning_rate: 1e999"), "beyond every number"),
    "no number": (_first("learning_rate: .nan"), "beyond every number"),
    "empty integer": (_study(seed='!!int ""'), YAML),
    "no truth": (_study(seed="!!bool perhaps"), YAML),
    "no time": (_study(seed="!!timestamp now"), YAML),
    "set": (_study(title="!!set {a, b}"), "quote it"),
    "bytes": (_study(title="!!binary aGVsbG8="), "quote it"),
    "name with a slash": (STUDY.replace("first", "../../evil"), "experiments.../../evil"),
    "name of the parent": (STUDY.replace("first", ".."), "experiments..."),
    "data set with a slash": (STUDY.replace("leaves:", "a/b:"), "data.a/b"),
    "key with a line end": (_study(**{'"a\\nb"': "1"}), "control character"),
    "key with an escape": (_study(**{'"\\e[2J"': "1"}), "control character"),
    "long key": (_study(**{"? " + "k" * 5000 + "\n": "1"}), "too long"),
    "key that is a list": (_study(**{"? [a]\n": "1"}), YAML),
    "nul in a path": (STUDY.replace("source: demo", 'source: csv, photos: "a\\0b", labels: b'), "control character"),
    "half a character": (_study(title='"\\ud800"'), "control character"),
    "nul": (_study(title="a\0b"), YAML),
    "key given twice": (_study(seed="1\nseed: 2"), "given twice"),
    "sweep of millions": (_first(f"sweep: {{epochs: {list(range(1, 2000))}, size: {list(range(16, 1016))}}}"), "combinations"),
    "based on a list": (_first("based_on: [first]"), "should be a valid string"),
    "like a list": (STUDY.replace("dataset: leaves", "like: [main]"), "should be a valid string"),
    "repeats of a word": (_first("repeat: x, seeds: 2"), "repeat"),
    "extends itself": ("extends: study.yaml\n", "extends itself"),
    "extends a circle": ("extends: other.yaml\n", "extends itself"),
    "extends a device": ("extends: /dev/zero\n", "no such study file"),
    "extends a pipe": ("extends: pipe.yaml\n", "no such study file"),
    "extends a folder": ("extends: ..\n", "no such study file"),
    "archive without a sum": (STUDY.replace("source: demo", "source: archive, files: [{path: a, sha256: x}]"), "sha256"),
}  # fmt: skip


def _tensors(header: dict[str, Any] | bytes, content: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def weight_files(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Weights by name: their bytes, and what the refusal says."""
    refused, entry = "is refused", {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}
    key = "classifier.1.bias"
    code = pickle.dumps(Code(folder))
    return {
        "plain.pt": (code, refused),
        "zip.pth": (zipped({"archive/data.pkl": code, "archive/version": b"3\n"}, zipfile.ZIP_STORED), refused),
        "named otherwise.safetensors": (code, refused),
        "system.pth": (b"cposix\nsystem\n(S'touch x'\ntR.", refused),
        "deep.pth": (b"\x80\x02" + b"(" * 100_000 + b".", refused),
        "bomb.pth": (zipped({"archive/data.pkl": bytes(50_000_000), "archive/version": b"3\n"}), refused),
        "empty.pth": (b"", refused),
        "long header.safetensors": (_tensors({key: entry}, length=2**63), refused),
        "longer than the file.safetensors": (_tensors({key: entry}, length=5000), refused),
        "content elsewhere.safetensors": (_tensors({key: entry | {"data_offsets": [0, 10**12]}}), refused),
        "content backwards.safetensors": (_tensors({key: entry | {"data_offsets": [4000, 0]}}, bytes(4000)), refused),
        "huge shape.safetensors": (_tensors({key: entry | {"shape": [2**62, 8]}}, bytes(4000)), refused),
        "no JSON.safetensors": (_tensors(b"{" * 500), refused),
        "one tensor.safetensors": (_tensors({key: entry}, bytes(4000)), "51 tensors are missing"),
        "names of lines.safetensors": (_tensors({"a\nb\x1b": entry}, bytes(4000)), "are not its own"),
        "program.pth": (b"\x7fELF" + bytes(500), refused),
        "script.py": (b"import os", "is not a state dict"),
    }  # fmt: skip


TOKENS = {
    "jpeg": [b"\xff\xd8", b"\xff\xda", b"\xff\xd9", b"\xff\xc2", b"\xff\xe1\xff\xff", b"\xff\xdd\0\4\0\1", b"\xff\xc4\0\2"],
    "png": [b"IDAT", b"tRNS", b"PLTE", b"acTL", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"],
    "csv": [b'"', b",", b";", b"\t", b"\r", b"\n", b"\0", b"../", b"/", b"\\", b"=cmd()", b"\xff", b"\xef\xbb\xbf", b"<b>"],
    "yaml": [
        b"&a ", b"*a", b"<<: *a\n", b"!!python/name:os.system ", b"!!int ", b"!!set ", b".inf", b".nan", b"1e999", b"[", b"]",
        b"{", b"}", b": ", b"\n", b"\n  ", b"- ", b"? ", b"null", b"true", b"~", b"'", b'"\\0"', b"|", b"2001-01-01", b"9" * 50,
        b"extends: ", b"based_on: ", b"like: ", b"sweep: ", b"seeds: ", b"../x", b"\t", b"%", b"0x", b"1:30",
    ],
}  # fmt: skip


def mutated(content: bytes, kind: str, draw: random.Random) -> bytes:
    """`content` with one to eight flips, cuts, copies and tokens of its language; a PNG's sums are mostly mended."""
    damaged = bytearray(content)
    letters = range(32, 127) if kind in ("csv", "yaml") and draw.random() < 0.9 else range(256)
    for _ in range(draw.choice([1, 1, 2, 3, 8])):
        # Decoders trip in headers.
        place = draw.randrange(draw.choice([min(200, len(damaged)), len(damaged)]) + 1)
        length = draw.choice([1, 2, 4, 16, 200])
        match draw.randrange(5):
            case 0:
                damaged[place : place + 1] = bytes([draw.choice(letters)])
            case 1:
                del damaged[place : place + length]
            case 2:
                start = draw.randrange(len(damaged) + 1)
                damaged[place:place] = damaged[start : start + length]
            case 3:
                damaged[place:place] = draw.choice(TOKENS[kind])
            case _:
                token = draw.choice(TOKENS[kind])
                damaged[place : place + len(token)] = token
    return mended(bytes(damaged)) if kind == "png" and draw.random() < 0.8 else bytes(damaged)


def mended(content: bytes) -> bytes:
    """A PNG whose checksums are right again, so that its decoder looks further."""
    parts, place = [content[:8]], 8
    while place + 12 <= len(content):
        length = min(int.from_bytes(content[place : place + 4], "big"), len(content) - place - 12)
        parts.append(chunk(content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return b"".join(parts)


def seeds(studies: list[Path]) -> dict[str, list[bytes]]:
    """Sound files of each kind to start from."""
    exif = Image.Exif()
    exif[0x0112] = 6
    grey, clear = picture().convert("L"), picture().quantize(16)
    table = "image_id,label\n" + "".join(f"{name}.jpg,{number % 3}\n" for number, name in enumerate("abcdefé"))
    return {
        "jpeg": [encoded("JPEG", exif=exif), encoded("JPEG", progressive=True), encoded("JPEG", grey), encoded("JPEG", picture().convert("CMYK"))],
        "png": [encoded("PNG", exif=exif), encoded("PNG", grey), encoded("PNG", clear, transparency=3), png(60, 40)],
        "csv": [table.encode(), table.replace(",", ";").encode("utf-8-sig"), table.replace("\n", "\r\n").encode()],
        "yaml": [path.read_bytes() for path in studies],
    }  # fmt: skip
