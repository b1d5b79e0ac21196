#!/usr/bin/env bash
# stacks.sh FOLDER: make the corpus anew: old stacks in virtual environments of their own under FOLDER (Python 3.10: PYTHON_OLD), an archive each here
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "$1" && cd "$1" && pwd)

archive() { # NAME PYTHON
  rm -rf "$folder/out/$1" "$here/$1.zip"
  TF_CPP_MIN_LOG_LEVEL=3 "$2" "$here/make.py" "$folder/out/$1"
  (cd "$folder/out/$1" && "$2" -m zipfile -c "$here/$1.zip" *)
}

stack() { # NAME PACKAGE...
  local name=$1
  shift
  [ -x "$folder/$name/bin/python" ] || "${PYTHON_OLD:-python3.10}" -m venv "$folder/$name"
  "$folder/$name/bin/pip" install -q "$@"
  archive "$name" "$folder/$name/bin/python"
}

stack tf212 tensorflow-cpu==2.12.1 qkeras==0.9.0 tensorflow-model-optimization==0.7.5 pyparsing tqdm "setuptools<81"
stack tf215 tensorflow-cpu==2.15.1 qkeras==0.9.0 tensorflow-model-optimization==0.7.5 pyparsing tqdm "setuptools<81"
archive keras3 "${PYTHON:-python}" # the present stack, in which fpgaml is installed
