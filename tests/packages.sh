#!/bin/sh
# The Debian packages that groups of tests need beyond Python. Installs what is missing where it may (root, or sudo
# without a password); else says which tests are left out, and why.
set -u

training="libfluidsynth3 timgm6mb-soundfont espeak-ng"

missing=""
for package in $training; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "packages for the tests of training: all there ($training)"
    exit 0
fi
echo "packages for the tests of training, missing:$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "left out: what the tests of training do with these programs, for this system has no apt-get"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "left out: what the tests of training do with these programs; to run them: sudo apt-get install$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
install() { $as_root apt-get install --yes --quiet --no-install-recommends $missing >/dev/null 2>&1; }
if install || { $as_root apt-get update --quiet >/dev/null 2>&1 && install; }; then
    echo "installed:$missing"
else
    echo "left out: what the tests of training do with these programs; apt-get could not install$missing"
fi
