"""Archives as other programs make and read them: what Debian's zip and tar and Python's modules pack must be unpacked as
they unpack it, and what slipway packs must be read by them."""

import gzip
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile

from sandbox import Failed, expect

# Names that every packer can write, and that file systems agree on.
NAMES = ["README", "src/main.rs", "src/deep/er/file.txt", "bin/run", "data/noise", "data/zeros", "empty", "with space", "umläut/ß"]


def make_tree(folder):
    """Files of several kinds, modes and lengths, with links among them."""
    rng = random.Random(5)
    for name in NAMES:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            if name == "data/noise":
                file.write(rng.randbytes(300_000))
            elif name == "data/zeros":
                file.write(bytes(1_000_000))
            elif name != "empty":
                file.write(f"text of {name}\n".encode() * rng.randrange(1, 5000))
        os.chmod(path, 0o755 if name == "bin/run" else 0o640 if name == "README" else 0o644)
    os.symlink("../README", os.path.join(folder, "src/readme"))
    os.symlink("deep", os.path.join(folder, "src/link to a folder"))
    os.makedirs(os.path.join(folder, "empty folder"))
    os.chmod(os.path.join(folder, "empty folder"), 0o700)


def tree(folder, links=True):
    """What is below a folder: path, kind, mode and content."""
    found = {}
    for here, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(here, name)
            short = os.path.relpath(path, folder)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                if links:
                    found[short] = ("link", os.readlink(path))
            elif stat.S_ISDIR(mode):
                found[short] = ("folder", oct(mode & 0o777))
            else:
                with open(path, "rb") as file:
                    found[short] = ("file", oct(mode & 0o777), file.read())
    return found


def compare(one, other):
    for path in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(path), other.get(path)
        expect(mine == theirs, f"`{path}` is {str(mine)[:80]} here and {str(theirs)[:80]} there")


def run_tool(tool, *arguments):
    done = subprocess.run([tool, *arguments], capture_output=True, text=True)
    expect(done.returncode == 0, f"artifacts {arguments[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def python_zip(source, path, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for here, folders, files in os.walk(source):
            for name in sorted(folders + files):
                full = os.path.join(here, name)
                short = os.path.relpath(full, source)
                if os.path.islink(full):
                    info = zipfile.ZipInfo(short)
                    info.create_system = 3
                    info.external_attr = os.lstat(full).st_mode << 16
                    archive.writestr(info, os.readlink(full))
                else:
                    archive.write(full, short)


class Unseekable(io.RawIOBase):
    """A pipe, so that sizes follow the data."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def python_zip_stream(source, path):
    with open(path, "wb") as file:
        python_zip(source, Unseekable(file), compression=zipfile.ZIP_DEFLATED)


def python_zip_wide(source, path):
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for here, folders, files in os.walk(source):
            for name in folders:
                full = os.path.join(here, name)
                if not os.path.islink(full):
                    archive.write(full, os.path.relpath(full, source))
            for name in files:
                full = os.path.join(here, name)
                if os.path.islink(full):
                    continue
                info = zipfile.ZipInfo.from_file(full, os.path.relpath(full, source))
                with open(full, "rb") as data, archive.open(info, "w", force_zip64=True) as entry:
                    shutil.copyfileobj(data, entry)


def python_tar(form, mode):
    def make(source, path):
        with tarfile.open(path, mode, format=form) as archive:
            archive.add(source, ".")

    return make


def shell(*command):
    def make(source, path):
        done = subprocess.run([part.replace("ARCHIVE", path) for part in command], cwd=source, capture_output=True, text=True)
        expect(done.returncode == 0, f"{command[0]}: {done.stdout} {done.stderr}")

    return make


def members_of_gzip(source, path):
    """As `pigz` and `cat a.gz b.gz` write it."""
    plain = path + ".tar"
    python_tar(tarfile.PAX_FORMAT, "w")(source, plain)
    with open(plain, "rb") as file, open(path, "wb") as to:
        while piece := file.read(100_000):
            to.write(gzip.compress(piece, mtime=0))


PACKERS = [
    ("zip", shell("zip", "-q", "-r", "-y", "ARCHIVE", "."), True),
    ("zip without compression", shell("zip", "-q", "-0", "-r", "-y", "ARCHIVE", "."), True),
    ("zip with the numbers of 64 bits", shell("zip", "-q", "-fz", "-r", "-y", "ARCHIVE", "."), True),
    # It cannot write links so.
    ("zip to a pipe", shell("sh", "-c", "mkfifo ARCHIVE.f; cat ARCHIVE.f >ARCHIVE & zip -qry - . -x '*readme' '*link*' >ARCHIVE.f; wait"), False),
    ("Python's zipfile", lambda source, path: python_zip(source, path, compression=zipfile.ZIP_DEFLATED), True),
    ("Python's zipfile to a pipe", python_zip_stream, True),
    ("Python's zipfile with 64 bits", python_zip_wide, False),
    ("tar", shell("tar", "-cf", "ARCHIVE", "."), True),
    ("tar -z", shell("tar", "-czf", "ARCHIVE", "."), True),
    ("tar of v7", shell("tar", "--format=v7", "-cf", "ARCHIVE", "."), True),
    ("tar of ustar", shell("tar", "--format=ustar", "-cf", "ARCHIVE", "."), True),
    ("tar of POSIX", shell("tar", "--format=pax", "-cf", "ARCHIVE", "."), True),
    ("Python's tarfile of GNU", python_tar(tarfile.GNU_FORMAT, "w"), True),
    ("Python's tarfile of PAX", python_tar(tarfile.PAX_FORMAT, "w:gz"), True),
    ("gzip of several members", members_of_gzip, True),
]


def long_names(folder):
    path = os.path.join(folder, *["a long part of a name"] * 8)
    os.makedirs(path)
    with open(os.path.join(path, "x" * 200), "w") as file:
        file.write("long")
    os.symlink(os.path.join(*["a long part of a name"] * 8, "x" * 200), os.path.join(folder, "link"))


def run(checks, tool, folder):
    source = os.path.join(folder, "source")
    os.makedirs(source)
    make_tree(source)
    for number, (name, make, links) in enumerate(PACKERS):
        with checks.check(f"archives: what {name} packs is unpacked"):
            archive, into = (os.path.join(folder, f"{kind}-{number}") for kind in ("archive", "into"))
            # Info-ZIP adds `.zip` to a name without a dot.
            archive += ".bin"
            os.makedirs(into)
            make(source, archive)
            run_tool(tool, "unpack", archive, into)
            compare(tree(source, links), tree(into, links))
    long = os.path.join(folder, "long")
    os.makedirs(long)
    long_names(long)
    for form in ("gnu", "pax"):
        with checks.check(f"archives: long names of tar ({form}) are unpacked"):
            archive, into = os.path.join(folder, f"long-{form}.tar"), os.path.join(folder, f"long-{form}")
            os.makedirs(into)
            shell("tar", f"--format={form}", "-cf", "ARCHIVE", ".")(long, archive)
            run_tool(tool, "unpack", archive, into)
            compare(tree(long), tree(into))
    packed = os.path.join(folder, "packed.zip")
    with checks.check("archives: what slipway packs, Python reads, with modes"):
        run_tool(tool, "pack", source, packed)
        with zipfile.ZipFile(packed) as archive:
            expect(archive.testzip() is None, "a checksum is wrong")
            names = archive.namelist()
            expect(names == sorted(names, key=str.encode), "the names are not sorted")
            run_mode = archive.getinfo("bin/run").external_attr >> 16
            expect(run_mode == 0o100755, f"bin/run has the mode {run_mode:o}")
            for name in NAMES:
                with open(os.path.join(source, name), "rb") as file:
                    expect(archive.read(name) == file.read(), f"`{name}` is another")
    with checks.check("archives: what slipway packs, unzip accepts and unpacks"):
        into = os.path.join(folder, "unzipped")
        for command in (["unzip", "-tq", packed], ["unzip", "-q", packed, "-d", into]):
            done = subprocess.run(command, capture_output=True, text=True)
            expect(done.returncode == 0, f"unzip: {done.stdout} {done.stderr}")
        for name in NAMES:
            # Without a UTF-8 locale, unzip writes other names.
            if name.isascii():
                with open(os.path.join(source, name), "rb") as mine, open(os.path.join(into, name), "rb") as theirs:
                    expect(mine.read() == theirs.read(), f"`{name}` is another")
    with checks.check("archives: the same files give the same zip"):
        again = os.path.join(folder, "again.zip")
        for path in (os.path.join(source, name) for name in NAMES):
            os.utime(path, (1, 1))
        run_tool(tool, "pack", source, again)
        with open(packed, "rb") as one, open(again, "rb") as other:
            expect(one.read() == other.read(), "the bytes differ")
    with checks.check("archives: more entries than 16 bits count, and Python reads them"):
        many = os.path.join(folder, "many")
        os.makedirs(many)
        for number in range(70_000):
            open(os.path.join(many, f"{number:05}"), "w").close()
        packed = os.path.join(folder, "many.zip")
        run_tool(tool, "pack", many, packed)
        with zipfile.ZipFile(packed) as archive:
            expect(len(archive.namelist()) == 70_000, f"it has {len(archive.namelist())} entries")
        into = os.path.join(folder, "many-unpacked")
        os.makedirs(into)
        peak = run_tool(tool, "unpack", packed, into)["peak-kib"]
        expect(len(os.listdir(into)) == 70_000, "files are missing")
        expect(peak < 64 * 1024, f"unpacking took {peak} KiB")


if __name__ == "__main__":
    sys.exit("run by run.py")
