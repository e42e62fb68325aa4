#!/usr/bin/env bash
# Puts together, without root, what `cargo build --features cuda` needs on a machine without a GPU: NVIDIA's compiler,
# headers and libraries from its Python wheels, and a library that stands in for the driver's when linking.
#
#   eval "$(scripts/cuda-toolkit.sh DIR)"     # DIR: any folder; about 1.2 GB. What is there already is kept.
#   cargo build --release --features cuda
#
# The program that comes out needs the real libcuda.so.1 of a driver, and libcudart, libcublas, libcublasLt and
# libcurand of CUDA 13, where it runs. CUDA_COMPUTE_CAP says for which GPU to compile (90: H100 and H200; 89: RTX 40;
# 86: RTX 30; 80: A100); it is 90 unless it is set.
set -euo pipefail

say() { echo "cuda-toolkit.sh: $*" >&2; }
stop() { say "$@"; exit 1; }

[ $# -eq 1 ] || stop "expected one folder: eval \"\$(scripts/cuda-toolkit.sh DIR)\""
for tool in python3 cargo g++; do
  command -v "$tool" >/dev/null || stop "needs $tool, which is not on the PATH"
done
python3 -m pip --version >/dev/null 2>&1 || stop "needs pip: python3 -m pip does not run"
project=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
toolkit=$(cd "$1" && pwd)

# 1. Compiler, headers, libraries. Versions that belong together: the compiler must not be newer than the driver's CUDA.
if [ ! -e "$toolkit/complete" ]; then
  say "downloading NVIDIA's wheels to $toolkit"
  wheels=$(mktemp -d "$toolkit/wheels.XXXXXX")
  trap 'rm -rf "$wheels"' EXIT
  python3 -m pip -q --disable-pip-version-check download --no-deps --only-binary :all: -d "$wheels" \
    nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
    nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 \
    nvidia-curand==10.4.0.35 nvidia-cublas==13.1.0.3 >&2
  for wheel in "$wheels"/*.whl; do python3 -m zipfile -e "$wheel" "$wheels/out"; done
  cp -r "$wheels"/out/nvidia/cu13/. "$toolkit/"
  chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
  # The wheels hold libNAME.so.13; a linker looks for libNAME.so, in a folder that some build scripts call lib64.
  (cd "$toolkit/lib" && for file in *.so.*; do
    name=${file%%.so*}.so
    [ -e "$name" ] || ln -s "$file" "$name"
  done)
  ln -sfn lib "$toolkit/lib64"
  touch "$toolkit/complete"
fi

# 2. A stand-in for the driver: every name that the crate cudarc may ask for, and nothing behind it but an error.
if [ ! -e "$toolkit/stand-in/libcuda.so" ]; then
  source=$(cd "$project" && cargo metadata --format-version 1 --features cuda --locked | python3 -c '
import json, pathlib, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == "cudarc":
        print(pathlib.Path(package["manifest_path"]).parent / "src/driver/sys/mod.rs")')
  [ -f "$source" ] || stop "the source of the crate cudarc is not where cargo says: $source"
  mkdir -p "$toolkit/stand-in"
  grep -oE 'fn (cu[A-Z][A-Za-z0-9_]*)' "$source" | sort -u |
    awk '{ print "int " $2 "(void) { return 100; }" }' >"$toolkit/stand-in/libcuda.c"
  g++ -x c -shared -fPIC -w -Wl,-soname,libcuda.so.1 -o "$toolkit/stand-in/libcuda.so" "$toolkit/stand-in/libcuda.c"
fi

# 3. What the build scripts of candle and cudarc ask for. The stand-in is found when linking, never when running.
cat <<EXPORTS
export CUDA_HOME='$toolkit' CUDA_PATH='$toolkit' NVCC='$toolkit/bin/nvcc'
export PATH='$toolkit/bin':"\$PATH"
export LIBRARY_PATH='$toolkit/lib:$toolkit/stand-in'"\${LIBRARY_PATH:+:\$LIBRARY_PATH}"
export CUDA_COMPUTE_CAP="\${CUDA_COMPUTE_CAP:-90}"
EXPORTS
