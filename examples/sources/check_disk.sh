# How full is the file system of /? Plain bash and df; no jq needed.
execute() {
  local line used
  line=$(df -P / | tail -n 1)
  used=$(awk '{ sub("%", "", $5); print $5 }' <<<"$line")
  local healthy=true
  if ((used >= 98)); then healthy=false; fi
  printf '{"check": "disk", "healthy": %s, "detail": "%s%% of / is used"}\n' "$healthy" "$used"
}
