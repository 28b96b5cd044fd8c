#!/usr/bin/env bash
# All that wants an accelerator, in under ten minutes, most valuable first: (a) what is installed, and whether features,
# losses and the quick tests are right there; (b) steps, against PyTorch's; (c) the whole command; (d) a training, gone on
# with for the time that remains. Each part has a time limit and leaves what it has when it fails or runs out of time.
#
#   scripts/accelerator_day.sh                   results in ./accelerator-day, or where OUT says
#   scripts/accelerator_day.sh -o DIR            ... in DIR: report.md, log.txt, *.json, and the training in parts
#   scripts/accelerator_day.sh -r                rehearsal: every part, at tiny sizes, on a CPU too
#   scripts/accelerator_day.sh -p bc             these parts alone
#   scripts/accelerator_day.sh -s 300            so many seconds in all (570), of which each part has its share
#   scripts/accelerator_day.sh -w WHEELS         a folder of wheels, for what the machine's Python lacks
#   scripts/accelerator_day.sh -- train STYLE --photos DIR -o painter.h5
#                                                the command of (d), train or train-upscale; checkpoints beside its FILE
#                                                are gone on from. Without one there is no (d)
#
# PYTHON is the interpreter (python3). WEIGHTS is a file of VGG19's weights for (c); without it they are random, with
# which a step takes as long.
set -uo pipefail

out=${OUT:-accelerator-day} total=570 rehearse= wheels= parts=abcd
while getopts o:p:s:w:r option; do
  case $option in
    o) out=$OPTARG ;;
    p) parts=$OPTARG ;;
    s) total=$OPTARG ;;
    w) wheels=$OPTARG ;;
    r) rehearse=1 ;;
    *) sed -n '2,/^set/p' "$0" | grep '^#'; exit 2 ;;
  esac
done
shift $((OPTIND - 1))

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
report=$out/report.md log=$out/log.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
: > "$report"
: > "$log"
if [ -n "$wheels" ]; then
  "$python" -m pip install --quiet --no-index --no-deps --target "$scratch/site" "$wheels"/*.whl >> "$log" 2>&1
fi
export PYTHONPATH=$root:$scratch/site${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export JAXSTYLE_CACHE=${JAXSTYLE_CACHE:-$scratch/cache}
export XLA_PYTHON_CLIENT_PREALLOCATE=false # several processes share the device

if [ -n "$rehearse" ]; then
  sizes=(32) networks=(compact) whole=(64) check=32 lanes=(1 2) counts=(--repeats 2 --steps 2)
  tests=tests/losses/test_losses.py
else
  sizes=(512 1024 256 2048) networks=(vgg19 compact) whole=(512 1024) check=256 lanes=(1 8)
  counts=(--repeats 5 --steps 25) tests=tests
fi

# part TITLE LIMIT COMMAND...: the command, stopped after so many of 570 seconds or when all are used up; what it prints
# goes into the report.
part() {
  local title=$1 limit=$(($2 * total / 570)) began=$SECONDS code
  shift 2
  if ((limit < 5)); then limit=5; fi
  if ((limit > total - SECONDS - 10)); then limit=$((total - SECONDS - 10)); fi
  printf '\n## %s\n' "$title" | tee -a "$report" "$log"
  if ((limit < 5)); then
    printf '\nno time was left\n' | tee -a "$report"
    return
  fi
  timeout --kill-after=5 "$limit" "$@" 2>> "$log" | tee -a "$report"
  code=${PIPESTATUS[0]}
  case $code in
    0) printf '\n%d s\n' $((SECONDS - began)) ;;
    124 | 137) printf '\nstopped after %d s\n' $((SECONDS - began)) ;;
    *) printf '\nfailed (exit code %d) after %d s; see log.txt\n' "$code" $((SECONDS - began)) ;;
  esac | tee -a "$report"
}

benchmark() { # benchmark NAME TITLE LIMIT OPTIONS...
  local name=$1 title=$2 limit=$3
  shift 3
  part "$title" "$limit" "$python" "$root/scripts/benchmark.py" "$name" --json "$out/$name.json" "$@"
}

quick_tests() {
  cd "$root" || return
  # The tests' own settings are for CPUs; a driver's or a plugin's warnings are no failures.
  export JAX_PLATFORMS= XLA_FLAGS=
  "$python" -m pytest -q -m quick -n "$(if "$python" -c 'import xdist' 2> /dev/null; then echo 4; else echo 0; fi)" \
    -W default -p no:cacheprovider "$1" | tail -n 25
}

train() {
  "$python" -m jaxstyle.cli "$@" 2>&1
}
export -f quick_tests train
export root python

chosen() { [[ $parts == *$1* ]]; }

if chosen a; then
  benchmark versions 'Packages and devices' 40
  benchmark agreement 'Distance from the CPU' 70 --sizes "$check" --networks "${networks[@]}"
  part 'Quick tests' 70 bash -c 'set -o pipefail; quick_tests "$@"' quick_tests "$tests"
fi
if chosen b; then
  benchmark accelerated 'A step' 240 --sizes "${sizes[@]}" --networks "${networks[@]}" --lanes "${lanes[@]}" "${counts[@]}"
fi

unset XLA_PYTHON_CLIENT_PREALLOCATE # from here on one process at a time
if chosen c; then
  weights=${WEIGHTS:-$scratch/vgg19.h5}
  if [ ! -e "$weights" ]; then
    part 'Random weights' 30 "$python" "$root/scripts/benchmark.py" random-weights --network vgg19 --weights "$weights"
  fi
  benchmark command 'The whole command, VGG19' 110 --sizes "${whole[@]}" --network vgg19 --weights "$weights"
fi

if ! chosen d; then exit; fi
if (($# == 0)); then
  printf '\n## Training\n\nno command was given\n' | tee -a "$report"
  exit
fi
part 'Training' 560 bash -c 'train "$@"' train "$@"
file=
for ((i = 1; i < $#; i++)); do
  case ${!i} in -o | --out) ((++i)) && file=${!i} ;; esac
done
kept=()
for path in "$file" "${file%.*}-training" "${file%.*}.training"; do
  if [ -e "$path" ]; then kept+=("$path"); fi
done
if ((${#kept[@]})); then
  tar cz "${kept[@]}" 2>> "$log" | split -b 15m - "$out/training.tar.gz."
  printf '\ncat training.tar.gz.* | tar xz\n' | tee -a "$report"
fi
