"""Takes the wanted members out of wheels (zip files). Reads {"wheels": [...], "take": [...], "into": ...} as JSON on stdin.

A pattern ending in / takes a folder, one with * is a glob, any other one file. Prints "done total" in bytes as it goes.
Python does it because pip, which fetches the wheels, needs Python anyway, and Node has no zip reader.
"""
import fnmatch
import json
import os
import sys
import zipfile

order = json.load(sys.stdin)
into = os.path.realpath(order["into"])


def wanted(name):
    return any(
        name.startswith(p) if p.endswith("/") else fnmatch.fnmatchcase(name, p) for p in order["take"]
    ) and not name.endswith("/")


archives = [zipfile.ZipFile(path) for path in order["wheels"]]
members = [(a, m) for a in archives for m in a.infolist() if wanted(m.filename)]
total = sum(m.file_size for _, m in members)
done = 0
for archive, member in members:
    target = os.path.realpath(os.path.join(into, member.filename))
    if not target.startswith(into + os.sep):
        sys.exit("a member leaves the folder: " + member.filename)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with archive.open(member) as source, open(target, "wb") as out:
        while block := source.read(1 << 22):
            out.write(block)
            done += len(block)
            if len(block) == 1 << 22:
                print(done, total, flush=True)
        out.flush()
        os.fsync(out.fileno())
    mode = (member.external_attr >> 16) & 0o777
    if mode & 0o111:
        os.chmod(target, 0o755)
print(done, total, flush=True)
