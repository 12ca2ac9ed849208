#!/usr/bin/env bash
# Checks and times the CUDA kernels of the losses on this machine's GPU:
#
#   bench/gpu.sh [FOLDER]     writes FOLDER/loss-cuda.csv and FOLDER/gpu.txt, bench/results by default
#
# Needs nvcc and a GPU, nothing of Node. In this order: a build, memory errors and races on small sizes where
# compute-sanitizer is there, every loss against float64, times beside a copy. Where the trainer is built with
# a CUDA libtorch, its steps on the GPU are compared with those on the CPU.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-bench/results}
mkdir -p "$out"
program=$(mktemp -d)/loss_cuda
trap 'rm -rf "$(dirname "$program")"' EXIT
failed=0

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,memory.total --format=csv | tee "$out/gpu.txt"
nvcc --version | tail -2 | tee -a "$out/gpu.txt"
nvcc -std=c++17 -O3 -ftz=true -arch=native -lineinfo -Inative/kernels -o "$program" \
  bench/loss_cuda.cc native/kernels/dece_loss.cu native/kernels/plan.cc

if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck initcheck racecheck synccheck; do
    echo "== compute-sanitizer $tool"
    timeout 90 compute-sanitizer --tool "$tool" --error-exitcode 3 "$program" check 8 1001 8200 |
      tail -4 || failed=1
  done
fi
echo '== float64'
"$program" check || failed=1
echo '== times'
"$program" speed "$out/loss-cuda.csv" || failed=1

if grep -qs '"cuda": true' native/trainer/build/Release/trainer.json; then
  echo '== trainer'
  node --import tsx bench/trainer_cuda.ts || failed=1
fi
exit "$failed"
