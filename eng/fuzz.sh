#!/usr/bin/env bash
# Feeds the readers of files mutants for some minutes: other draws in every round. Stops at the first fault, and says how to see it again.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-10}
dotnet build tests/MoeSharp.Checkpoints.Tests -c Release --nologo -v quiet
tests=$(echo artifacts/bin/MoeSharp.Checkpoints.Tests/release*/MoeSharp.Checkpoints.Tests)
export MOESHARP_FUZZ_ROUNDS=10
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for ((seed = ${2:-1}, end = SECONDS + 60 * minutes; SECONDS < end; seed++)); do
    export MOESHARP_FUZZ_SEED=$seed
    "$tests" --filter-class '*MutationTests' --no-progress >"$log" 2>&1 || {
        cat "$log"
        echo "Seed $seed fails: eng/fuzz.sh 1 $seed"
        exit 1
    }
done

echo "No fault in $minutes minutes: seeds ${2:-1} to $((seed - 1)), each of $MOESHARP_FUZZ_ROUNDS times the draws of the tests."
