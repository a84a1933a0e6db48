# A single step of a cloud that is up, for tests that run inside: one.sh DIR STEP..., such as: finish keystone, start_keystone.
set -uo pipefail
mapfile -t places <"$1/run/places"
. "$(dirname "${BASH_SOURCE[0]}")/inside.sh" "$1" "${places[@]}"
shift
"$@"
