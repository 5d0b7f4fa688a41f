"""Makes requirements.txt out of requirements.in: every package, every version, every wheel's sha256.

usage: python3.12 deploy/local/lock.py [FOLDER]    (needs uv on PATH; default: the folder of this file)

The lock holds for Python 3.10, 3.11 and 3.12 on Linux x86-64 with glibc, and is installed with --no-deps. Hashes of
wheels for other platforms are left out. Commit the result after `millrace up` has started on each Python.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
PYTHONS = ("3.10", "3.11", "3.12")
HEADER = """\
# Packages pinned with all they need. Made by lock.py out of requirements.in: edit that, not this.
# Install: pip install --no-deps --only-binary :all: -r requirements.txt
# For Python 3.10, 3.11 and 3.12 on Linux x86-64 with glibc.
"""


def resolve(requirements, *flags):
    """The packages of a universal uv resolution, as pylock.toml's list."""
    with tempfile.TemporaryDirectory() as folder:
        source, lock = pathlib.Path(folder, "in.txt"), pathlib.Path(folder, "pylock.toml")
        source.write_text(requirements)
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", PYTHONS[0]]
        command += ["--only-binary", ":all:", "--format", "pylock.toml", "--output-file", str(lock), *flags, str(source)]
        subprocess.run(command, check=True)
        return tomllib.loads(lock.read_text()).get("packages", [])


def fits(filename):
    """Whether a wheel is for one of our Pythons on Linux x86-64."""
    python, abi, platform = filename.removesuffix(".whl").split("-")[-3:]
    ours = [f"cp{version.replace('.', '')}" for version in PYTHONS]
    stable = abi == "abi3" and re.fullmatch(r"cp3\d+", python) and int(python[3:]) <= 12
    return (
        ("any" in platform or ("linux" in platform and "x86_64" in platform and "musl" not in platform))
        and ("py3" in python or any(name in ours for name in python.split(".")) or bool(stable))
        and not abi.endswith("t")  # free-threaded
    )


def entry(package):
    marker = package.get("marker")
    hashes = []
    for wheel in package.get("wheels", []):
        name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1]
        if fits(name):
            hashes.append(wheel["hashes"]["sha256"])
    if not hashes:
        return None  # for another platform only
    head = f"{package['name']}=={package['version']}" + (f" ; {marker}" if marker else "")
    return " \\\n".join([head, *(f"    --hash=sha256:{value}" for value in sorted(hashes))])


def wanted(package):
    """Whether a package is for Linux at all: a universal resolution also lists what other systems need."""
    marker = package.get("marker", "")
    return not re.search(r"sys_platform == '(win32|emscripten|darwin)'", marker)


def main():
    resolved, bare = (FOLDER / "requirements.in").read_text().split("# [bare]")
    packages = resolve(resolved) + resolve(bare, "--no-deps")
    lines = [entry(package) for package in packages if wanted(package)]
    text = HEADER + "\n".join(sorted(line for line in lines if line)) + "\n"
    (FOLDER / "requirements.txt").write_text(text)
    print(f"{sum(1 for line in lines if line)} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
