# Runs "$@" and ends it when the process that started this script ends, even
# by SIGKILL. Standard input is a pipe whose other end only that process holds
# and never writes to: reading it returns when the process is gone.
exec 3<&0
child= ending=
# Before the child, so that there is no moment at which the signal ends this
# script and leaves the child behind.
trap 'ending=yes; test -z "$child" || kill -TERM "$child" 2>/dev/null' TERM
"$@" </dev/null 3<&- &
child=$!
test -z "$ending" || kill -TERM "$child" 2>/dev/null
(
  trap '' TERM INT
  read -r _ <&3
  kill -KILL "$child" 2>/dev/null
) &
watcher=$!
exec 3<&-
# A trapped signal interrupts wait, so ask whether the child has really ended.
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
kill -KILL "$watcher" 2>/dev/null
exit "$code"
