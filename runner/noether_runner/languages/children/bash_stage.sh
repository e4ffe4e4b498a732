# What runs inside the process of a Bash stage: the code, its `execute`, and the way back.
#
# Bash only. The protocol (runtimes.md §1.5, §7.3, §7.4): descriptor 4 is a memory file of two
# lines, the token of this call and the argument as compact JSON text (one line by construction).
# Descriptor 3 takes the answer: an `E` frame when there is no `execute`, else the opening of a
# stream (`S`) and then everything that `execute` prints, until the process ends. The code is the
# file stage.sh in the working directory; what it prints by itself is log.

IFS= read -r -u 4 __noether_token
IFS= read -r -u 4 INPUT || true
exec 4<&-
BASH_ARGV0="$PWD/stage.sh"
set -euo pipefail

source ./stage.sh

if ! builtin declare -F execute >/dev/null; then
  __noether_message='{"class":"no_entry_point","message":"no function named execute"}'
  builtin printf '\n%s E %d\n%s' "$__noether_token" "${#__noether_message}" "$__noether_message" >&3
  builtin exit 1
fi
builtin printf '\n%s S 0\n' "$__noether_token" >&3
execute "$INPUT" >&3 3>&-
