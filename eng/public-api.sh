#!/usr/bin/env bash
# Rewrites PublicAPI.Unshipped.txt of each package from what the compiler sees. Run it after a change of public surface, then read the diff.
set -euo pipefail
cd "$(dirname "$0")/.."

for project in src/*/; do
    declared="$project/PublicAPI.Unshipped.txt"
    [ -f "$declared" ] || continue
    echo "#nullable enable" >"$declared"
    { dotnet build "$project" -c Release --no-incremental -p:TreatWarningsAsErrors=false -p:WarningsNotAsErrors=RS0016 2>&1 || true; } |
        grep -F "/$(basename "$project").csproj]" | sed -nE "s/.*RS0016: Symbol '(.*)' is not part of the declared public API.*/\1/p" | LC_ALL=C sort -u >>"$declared"
    echo "$project: $(($(wc -l <"$declared") - 1)) public symbols"
done
