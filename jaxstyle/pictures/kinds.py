"""What a file is, told by how it begins and never by its name."""

from dataclasses import dataclass
from typing import BinaryIO

HEAD = 4096  # bytes that are looked at


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
      name: as a message has it after "is".
      reader: what `jaxstyle.pictures.read` opens it by; None where it is not read.
      advice: what to do with one that is not read.
      picture: whether it is a picture at all.
    """

    name: str
    reader: str | None = None
    advice: str = "save it as PNG or JPEG"
    picture: bool = True


READ = {
    "PNG": Kind("a PNG", "png"),
    "JPEG": Kind("a JPEG", "jpeg"),
    "WEBP": Kind("a WebP", "webp"),
    "TIFF": Kind("a TIFF", "tiff"),
    "GIF": Kind("a GIF", "gif"),
    "BMP": Kind("a BMP", "bmp"),
    "PPM": Kind("a PBM, PGM or PPM", "ppm"),
    "AVIF": Kind("an AVIF", "avif"),
    "JPEG2000": Kind("a JPEG 2000", "jpeg2000"),
    "HEIC": Kind("a HEIC", "heic"),
}
RAW = Kind("a camera's raw file", advice="develop it, and export it as TIFF or JPEG")
EXPORT = "export it as PNG"


def _document(name: str, advice: str = EXPORT) -> Kind:
    return Kind(f"not a picture but {name}", advice=advice, picture=False)


BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", READ["PNG"]),
    (b"\xff\xd8\xff", READ["JPEG"]),
    (b"II*\0\x10\0\0\0CR", RAW),  # Canon's CR2, before TIFF
    (b"II*\0", READ["TIFF"]),
    (b"MM\0*", READ["TIFF"]),
    (b"II+\0", READ["TIFF"]),
    (b"MM\0+", READ["TIFF"]),
    (b"GIF87a", READ["GIF"]),
    (b"GIF89a", READ["GIF"]),
    (b"\0\0\0\x0cjP  \r\n\x87\n", READ["JPEG2000"]),
    (b"\xff\x4f\xff\x51", READ["JPEG2000"]),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\0", RAW),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"FOVb", RAW),
    (b"\0MRM", RAW),
    (b"8BPS", Kind("a Photoshop document")),
    (b"gimp xcf", Kind("a GIMP document", advice=EXPORT)),
    (b"\x76\x2f\x31\x01", Kind("an OpenEXR of high dynamic range")),
    (b"#?RADIANCE", Kind("a Radiance picture of high dynamic range")),
    (b"#?RGBE", Kind("a Radiance picture of high dynamic range")),
    (b"\xff\x0a", Kind("a JPEG XL")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind("a JPEG XL")),
    (b"II\xbc\x01", Kind("a JPEG XR")),
    (b"\0\0\1\0", Kind("an icon (ICO)")),
    (b"\0\0\2\0", Kind("a cursor (CUR)")),
    (b"icns", Kind("an icon (ICNS)")),
    (b"qoif", Kind("a QOI")),
    (b"DDS ", Kind("a DirectDraw surface (DDS)")),
    (b"P7\n", Kind("a PAM")),
    (b"P7 332", Kind("a thumbnail of xv")),
    (b"PF\n", Kind("a PFM, whose floats are proportional to light")),
    (b"Pf\n", Kind("a PFM, whose floats are proportional to light")),
    (b"SIMPLE  =", Kind("a FITS")),
    (b"BPG\xfb", Kind("a BPG")),
    (b"FLIF", Kind("a FLIF")),
    (b"AT&TFORM", Kind("a DjVu")),
    (b"SDPX", Kind("a DPX")),
    (b"XPDS", Kind("a DPX")),
    (b"\x01\xda", Kind("an SGI picture")),
    (b"\x59\xa6\x6a\x95", Kind("a Sun raster")),
    (b"\x8aMNG\r\n\x1a\n", Kind("an MNG")),
    (b"\x8bJNG\r\n\x1a\n", Kind("a JNG")),
    (b"\xd7\xcd\xc6\x9a", Kind("a Windows metafile (WMF)")),
    (b"/* XPM */", Kind("an XPM")),
    (b"%PDF-", _document("a PDF")),
    (b"%!PS", _document("PostScript")),
    (b"\xc5\xd0\xd3\xc6", _document("PostScript")),
    (b"\x1aE\xdf\xa3", _document("a video", "give a frame of it")),
    (b"\x1f\x8b", _document("a gzip archive", "unpack it")),
    (b"PK\3\4", _document("a zip archive", "unpack it")),
)
BRANDS = {  # of ISO media files
    **dict.fromkeys((b"avif", b"avis"), READ["AVIF"]),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), READ["HEIC"]),
    b"crx ": RAW,
    b"jxl ": Kind("a JPEG XL"),
}
VIDEO = _document("a video", "give a frame of it")
SVG = Kind("an SVG drawing", advice=EXPORT)
PAGE = _document("a web page", "save the picture that is on it")


def kind_of(file: BinaryIO) -> Kind | None:
    """The kind of an open file; None for one that is not known, and most likely no picture."""
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    for beginning, kind in BEGINNINGS:
        if head.startswith(beginning):
            return kind
    return next((found for find in (_riff, _media, _ppm, _bmp, _text, _dicom) if (found := find(head))), None)


def _riff(head: bytes) -> Kind | None:
    if head[:4] != b"RIFF":
        return None
    return READ["WEBP"] if head[8:12] == b"WEBP" else VIDEO if head[8:12] == b"AVI " else None


def _media(head: bytes) -> Kind | None:
    """By the brand of the file, or one that it is compatible with."""
    if head[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, length - 3, 4))]
    if brands[0] in (b"mif1", b"msf1"):  # says that it is pictures, and others say of which kind
        brands = [*(brand for brand in brands if brand in (b"avif", b"avis")), *brands]
    return next((BRANDS[brand] for brand in brands if brand in BRANDS), VIDEO)


def _ppm(head: bytes) -> Kind | None:
    known = head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#"
    return READ["PPM"] if known and len(head) > 3 else None


def _bmp(head: bytes) -> Kind | None:
    """By the length of the header after "BM", which alone may begin a text."""
    return READ["BMP"] if head[:2] == b"BM" and head[14:18] in _BMP_HEADERS else None


_BMP_HEADERS = tuple(bytes([n, 0, 0, 0]) for n in (12, 16, 40, 52, 56, 64, 108, 124))


def _text(head: bytes) -> Kind | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return SVG
    return PAGE if text.startswith((b"<!doctype html", b"<html")) else None


def _dicom(head: bytes) -> Kind | None:
    return Kind("a DICOM") if head[128:132] == b"DICM" else None
