#!/usr/bin/env bash
# Checks the format, builds Release with warnings as errors, runs every test project, and prints the sums last: "N passed, N failed".
# Exits 0 only if nothing failed. A format, build or process that fails counts as one failure, so the sums never look better than the run.
#
#   ./test.sh                                     everything
#   ./test.sh --filter-class '*RoutedMoETests'    some tests: arguments go to every test project, the format is not checked
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 TESTINGPLATFORM_TELEMETRY_OPTOUT=1
reports=artifacts/reports
passed=0 failed=0 skipped=0

main() {
    install_what_is_missing
    if (($# == 0)); then check_format; fi
    build || return
    for project in tests/*/*Tests.csproj; do run_tests "$project" "$@"; done
    if (($# == 0)); then run_on_lesser_processors; run_native; elif ((passed + failed + skipped == 0)); then fail "no test matches: $*"; fi
}

# A machine with a .NET SDK has nearly all of it: TorchSharp needs only libstdc++, which .NET needs too.
install_what_is_missing() {
    local packages=()
    if [[ -e .git ]] && ! has git; then packages+=(git); fi                                  # versions come from tags
    if [[ -d tests/MoeSharp.AotTest ]] && ! has clang && ! has gcc; then packages+=(clang zlib1g-dev); fi   # native AOT links with it
    ((${#packages[@]})) || return 0

    local apt=(apt-get)
    if ((EUID != 0)); then apt=(sudo -n apt-get); fi
    step "Install ${packages[*]}"
    { "${apt[@]}" update -q && DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -q -y --no-install-recommends "${packages[@]}"; } </dev/null ||
        note "cannot install ${packages[*]}: going on without; install by hand if a step below misses it"
}

check_format() {
    step "Format"
    dotnet format MoeSharp.slnx --verify-no-changes || fail "the format differs: run 'dotnet format'"
}

# NU1900 says that the list of known vulnerabilities cannot be reached: not a fault of the code
build() {
    step "Build"
    dotnet build MoeSharp.slnx -c Release -warnaserror -warnNotAsError:NU1900 || { fail "the build failed"; return 1; }
}

run_tests() {
    local project=$1 name report total code
    shift
    name=$(basename "$project" .csproj) report=$reports/$name.xml
    step "$name"
    rm -f "$report"
    dotnet test --project "$project" -c Release --no-build --results-directory "$PWD/$reports" \
        --report-xunit-xml --report-xunit-xml-filename "$name.xml" --timeout 30m "$@" </dev/null
    code=$?

    if ! total=$(sum total "$report"); then fail "$name ended with exit code $code before it wrote its report"; return; fi
    local failures=$(($(sum failed "$report") + $(sum errors "$report")))
    passed=$((passed + $(sum passed "$report"))) failed=$((failed + failures)) skipped=$((skipped + $(sum skipped "$report")))

    if ((code == 8 && $# > 0)); then return; fi   # no test of this project matches the filter
    if ((code != 0 && failures == 0)); then fail "$name ended with exit code $code after $total tests"; fi
}

# The kernels once more as on processors without AVX-512, without AVX2, and without any vector instruction
run_on_lesser_processors() {
    local feature
    for feature in AVX512 AVX2 HWIntrinsic; do
        export "DOTNET_Enable$feature=0"
        run_tests tests/MoeSharp.Kernels.Tests/MoeSharp.Kernels.Tests.csproj --filter-class '*TileTests' '*RoutingKernelTests' '*TokenBlockTests' '*FlaxformerRoutingTests' '*MaxTextRoutingTests' '*AdamWKernelTests' '*AdamWBFloat16Tests' '*AdamWGuardTests' '*OuterTests' '*ExpertPassTests' '*ExpertPassBitsTests' '*ExpertLayerTests'
        run_tests tests/MoeSharp.Tests/MoeSharp.Tests.csproj --filter-class '*RoutingTwinTests' '*RouterTests'
        unset "DOTNET_Enable$feature"
    done
}

# The sum of an attribute over the assemblies of an xUnit report. Fails without a complete report.
sum() {
    [[ -s $2 ]] && grep -q '</assemblies>' "$2" || return 1
    grep -o '<assembly [^>]*>' "$2" | grep -o " $1=\"[0-9]*\"" | tr -dc '0-9\n' | awk '{ total += $1 } END { print total + 0 }'
}

# A native AOT program that uses the packages which promise to work there
run_native() {
    local project=tests/MoeSharp.AotTest
    [[ -d $project ]] || return 0
    step "Native AOT"
    if ! has clang && ! has gcc; then note "no C compiler to link with"; skipped=$((skipped + 1)); return; fi

    local output=$PWD/artifacts/native
    if dotnet publish "$project" -c Release -o "$output" -warnaserror -warnNotAsError:NU1900 && "$output/MoeSharp.AotTest" </dev/null; then
        passed=$((passed + 1))
    else
        fail "the native AOT test failed"
    fi
}

has() { command -v "$1" >/dev/null; }
step() { printf '\n== %s (at %d s)\n' "$1" "$SECONDS"; }
note() { printf 'test.sh: %s\n' "$1" >&2; }
fail() { note "$1"; failed=$((failed + 1)); }

finish() {
    printf '\n%d passed, %d failed' "$passed" "$failed"
    if ((skipped > 0)); then printf ', %d skipped' "$skipped"; fi
    printf '\n'
    exit $((failed > 0))
}

trap 'fail "interrupted"; finish' INT TERM
main "$@"
finish
