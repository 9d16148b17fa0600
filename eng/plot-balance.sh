#!/usr/bin/env bash
# Draws docs/routing-balance.png: the load of 16 experts over three short runs that differ in how it is balanced. A minute or so on two cores.
# The runs compute the same bits each time on one machine and .NET SDK, whose documentation they learn.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
dotnet build src/MoeSharp.Cli -c Release --nologo -v quiet
moesharp() { dotnet run -c Release --no-build --project src/MoeSharp.Cli -- "$@"; }
train() { moesharp train --preset tiny --experts 16 --top-k 2 --steps 300 --evaluate-every 0 --checkpoint-every 0 --threads 2 --quiet "$@"; }

train --balance none --out "$runs/not balanced"
train --balance loss --load-balance-coefficient 0.05 --out "$runs/load-balance loss"
train --balance bias --out "$runs/correction bias"
moesharp plot-load "$runs/not balanced" "$runs/load-balance loss" "$runs/correction bias" --out docs/routing-balance.png
