#!/usr/bin/env bash
# Compares a running node with other software and with lower bounds, and prints a table of the
# medians of five paired runs:
#
#     benches/side_by_side.sh
#
# Needs Debian's nginx, wrk, location, libloc-database and python3-venv, which it installs if it is
# root, and NumPy and SciPy, which it installs for itself. Works in target/side_by_side;
# docs/performance.md keeps a table and says what its rows mean.
set -euo pipefail
cd "$(dirname "$0")/.."

RUNS=5
SECONDS_EACH=2
DIR=$PWD/target/side_by_side
RESULTS=$DIR/runs.tsv
TOKEN=a-secret-of-this-run
PYTHON=$DIR/venv/bin/python
LOC=(--database /usr/share/libloc-location/location.db)

say() { echo "side_by_side: $*" >&2; }

# --- What it needs -------------------------------------------------------------------------------

missing=()
[ -x /usr/sbin/nginx ] || missing+=(nginx)
for tool in wrk location curl python3; do
  command -v "$tool" > /dev/null || missing+=("$tool")
done
[ -e "${LOC[1]}" ] || missing+=(libloc-database)
python3 -c 'import ensurepip' 2> /dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    say "missing: ${missing[*]}; install them as root: apt-get install ${missing[*]}"
    exit 1
  fi
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
fi

python3 -m venv "$DIR/venv"
"$PYTHON" -m pip install --quiet numpy==2.4.6 scipy==1.17.1

say "building"
cargo build --release --quiet --bin altofed
SPEED=$(cargo bench --quiet --no-run --bench speed --message-format json \
  | python3 -c 'import json, sys
for line in sys.stdin:
    built = json.loads(line)
    if built.get("target", {}).get("name") == "speed" and built.get("executable"):
        print(built["executable"])')
ALTOFED=target/release/altofed

# --- Processes -----------------------------------------------------------------------------------

node='' nginx='' naive='' sse='' chain=()
stop() { # PID
  if [ -n "$1" ]; then
    kill "$1" 2> /dev/null || true
    wait "$1" || true
  fi
}
trap 'for each in "$node" "$nginx" "$naive" "$sse" "${chain[@]}"; do stop "$each"; done' EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts a node with its configuration, over its existing store; sets `node`, and `url` once it
# listens: serve NAME
serve() {
  : > "$DIR/$1.out"
  "$ALTOFED" serve --config "$DIR/$1.toml" > "$DIR/$1.out" 2> "$DIR/$1.log" &
  node=$!
  until url=$(grep -o 'http://[0-9.:]*' "$DIR/$1.out"); do
    kill -0 "$node" || { cat "$DIR/$1.log" >&2; exit 1; }
    sleep 0.005
  done
}

start_node() {
  serve node
}

fresh_node() {
  rm -rf "$DIR/node"
  start_node
}

stop_node() {
  stop "$node"
  node=''
}

# Puts a document of a directory: put DIRECTORY NAME PATH
put() {
  curl --silent --show-error --fail --output /dev/null --upload-file "$DIR/$1/$2" \
    --header "Authorization: Bearer $TOKEN" --header 'Content-Type: application/json' \
    --header 'Expect:' "$url/n2s/v1/$3"
}

put_all() { # DIRECTORY
  put "$1" network-map.json network-map
  put "$1" cost-map.json cost-maps/routingcost
}

# --- Measuring -----------------------------------------------------------------------------------

# Adds a run to the results: run WHAT UNIT TARGET OURS [OTHER]
run() {
  (IFS=$'\t'; echo "$*") >> "$RESULTS"
}

calc() { python3 -c "print(f'{$1:.6f}')"; }

# Lets wrk send requests for some seconds over 8 connections, and prints how many were answered
# per second: load URL [OPTION...]
load() {
  local out
  out=$(wrk --threads 1 --connections 8 --duration "$SECONDS_EACH" "${@:2}" "$1" -- "$DIR/prefixes/requests.jsonl")
  if grep -E 'Non-2xx|Socket errors' <<< "$out" >&2; then
    say "$1 did not answer all requests"
    exit 1
  fi
  awk '/requests in/ { count = $1 } /^Requests\/sec:/ { rate = $2 } END { print count, rate }' <<< "$out"
}

rate() { load "$@" | cut -d ' ' -f 2; }

# Prints the CPU time of a process in hundredths of a second, in user and system mode together.
cpu() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

# Prints the memory of a process in MB: memory PID VmRSS|VmHWM
memory() { awk -v key="$2:" '$1 == key { print $2 * 1.024 / 1000 }' "/proc/$1/status"; }

# Sets `taken` to the seconds that a command takes.
timed() {
  local begun=$EPOCHREALTIME
  "$@"
  taken=$(calc "$EPOCHREALTIME - $begun")
}

mkdir -p "$DIR"
rm -f "$RESULTS"
cat > "$DIR/node.toml" <<END
[node]
domain = "isp-a"
listen = "127.0.0.1:0"
data_dir = "$DIR/node"
[limits]
requests_per_second = 0
[http]
max_connections = 11000
max_connections_per_client = 11000
[updates]
max_per_client = 11000
[[token]]
name = "noc"
secret = "$TOKEN"
scopes = ["ingest"]
END

# --- Full maps beside nginx ----------------------------------------------------------------------

# Name, PIDs, and target ratio.
MAPS=('200 KB' 115 '≥ 0.85' '1 MB' 258 '≥ 1.0' '15 MB' 1000 '≥ 1.0')

port=$(free_port)
rm -rf "$DIR/www"
mkdir -p "$DIR/www"
cat > "$DIR/nginx.conf" <<END
daemon off;
user $(id -un) $(id -gn);
pid $DIR/nginx.pid;
error_log stderr;
worker_processes auto;
events {}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  gzip_static on;
  keepalive_requests 1000000;
  types { application/alto-costmap+json json; }
  server { listen 127.0.0.1:$port; root $DIR/www; }
}
END
/usr/sbin/nginx -c "$DIR/nginx.conf" 2> "$DIR/nginx.log" &
nginx=$!

for ((map = 0; map < ${#MAPS[@]}; map += 3)); do
  size=${MAPS[map]} pids=${MAPS[map + 1]} target=${MAPS[map + 2]}
  say "a cost map of $size beside nginx"
  mkdir -p "$DIR/maps"
  "$SPEED" documents "$pids" "$DIR/maps"
  fresh_node
  put_all maps
  ours=$url/views/isp-a/costmap-routingcost
  theirs=http://127.0.0.1:$port/$pids.json
  curl --silent --fail "$ours" --output "$DIR/www/$pids.json"
  curl --silent --fail "$ours" --header 'Accept-Encoding: gzip' --output "$DIR/www/$pids.json.gz"
  # nginx takes a packed file for the plain one only if it is as new.
  touch "$DIR/www/$pids.json" "$DIR/www/$pids.json.gz"
  for coding in identity gzip; do
    what="GET of a cost map of $size" goal=$target
    if [ "$coding" = gzip ]; then
      what="$what, packed by gzip" goal='≥ 0.75'
    fi
    header="Accept-Encoding: $coding"
    cmp <(curl --silent --header "$header" "$ours") <(curl --silent --header "$header" "$theirs")
    for ((i = 0; i < RUNS; i++)); do
      run "$what" requests/s "$goal" \
        "$(rate "$ours" --header "$header")" "$(rate "$theirs" --header "$header")"
    done
  done
  stop_node
done
stop "$nginx"
nginx=''

# --- A million prefixes --------------------------------------------------------------------------

say "a million prefixes"
location "${LOC[@]}" dump | benches/prefixes.py "$DIR/prefixes"
# The same map without the first prefix.
sed -E 's|"[0-9.]+/[0-9]+",||' "$DIR/prefixes/network-map.json" > "$DIR/prefixes/changed-map.json"
for ((i = 0; i < RUNS; i++)); do
  fresh_node
  timed put prefixes network-map.json network-map
  run 'PUT of a million prefixes until it is published, beside a parse that keeps nothing' s '≤ 20' \
    "$taken" "$("$SPEED" parse "$DIR/prefixes/network-map.json")"
  put prefixes cost-map.json cost-maps/routingcost
  run 'resident with a million prefixes, most since the PUT' MB 'at most 500' "$(memory "$node" VmHWM)"
  run 'resident with a million prefixes, then' MB 'at most 500' "$(memory "$node" VmRSS)"
  put prefixes changed-map.json network-map
  run 'resident with a million prefixes, most since a changed map was put over it' MB 'at most 500' \
    "$(memory "$node" VmHWM)"
  stop_node
  timed start_node
  run 'restart with a million prefixes until it is ready' s recorded "$taken"
  stop_node
done

say "endpoint costs"
start_node
# The merged view is made after the node listens.
until curl --silent --fail --output /dev/null "$url/readyz"; do
  sleep 0.1
done
port=$(free_port)
: > "$DIR/naive.out"
"$SPEED" naive "$DIR/prefixes" "127.0.0.1:$port" > "$DIR/naive.out" &
naive=$!
until grep -q listening "$DIR/naive.out"; do
  kill -0 "$naive"
  sleep 0.1
done
script=(--script benches/endpoint_cost.lua)
for ((i = 0; i < RUNS; i++)); do
  before=$(cpu "$node")
  read -r answered rate < <(load "$url/views/merged/endpointcost" "${script[@]}")
  used=$(calc "($(cpu "$node") - $before) * 1e4 / $answered")
  run 'endpoint cost 10 × 100, beside a naive handler' requests/s '≥ 4' \
    "$rate" "$(rate "http://127.0.0.1:$port/" "${script[@]}")"
  run 'CPU of an endpoint cost 10 × 100, beside the same in process' µs '≤ 2.5' \
    "$used" "$("$SPEED" floor "$DIR/prefixes")"
done
run 'resident with a million prefixes, most since a restart' MB 'at most 500' "$(memory "$node" VmHWM)"
stop_node
stop "$naive"
naive=''

# --- Update streams ------------------------------------------------------------------------------

# Measures the memory that each stream takes in a server, in KB: held PID BASE
held() {
  local before after
  before=$(memory "$1" VmRSS)
  coproc "$SPEED" streams "$2" "$STREAMS"
  read -r _ <&"${COPROC[0]}"
  # Each stream is sent a comment meanwhile.
  sleep 20
  after=$(memory "$1" VmRSS)
  kill "$COPROC_PID"
  calc "($after - $before) * 1000 / $STREAMS"
}

say "idle update streams"
STREAMS=10000
ulimit -S -n 12000
mkdir -p "$DIR/small"
"$SPEED" documents 10 "$DIR/small"
for ((i = 0; i < RUNS; i++)); do
  fresh_node
  put_all small
  port=$(free_port)
  : > "$DIR/sse.out"
  "$SPEED" sse "127.0.0.1:$port" > "$DIR/sse.out" &
  sse=$!
  until grep -q listening "$DIR/sse.out"; do
    kill -0 "$sse"
    sleep 0.1
  done
  ours=$(held "$node" "$url")
  bare=$(held "$sse" "http://127.0.0.1:$port")
  run 'memory of each of 10,000 idle update streams, beside a bare axum handler' KB '≤ 1.5' \
    "$ours" "$bare"
  stop "$sse"
  sse=''
  stop_node
done

say "a change to many streams"
"$SPEED" documents 1000 "$DIR/maps"
fresh_node
put_all maps
"$SPEED" change "$url" "$TOKEN" "$node" "$DIR/maps" >> "$RESULTS"
stop_node
"$SPEED" patch >> "$RESULTS"

# --- Two hops ------------------------------------------------------------------------------------

# Starts a node of a chain: hop DOMAIN PORT MAX_STREAMS [PEER PEER_PORT SECRET]...
hop() {
  local domain=$1
  cat > "$DIR/$domain.toml" <<END
[node]
domain = "$domain"
listen = "127.0.0.1:$2"
data_dir = "$DIR/chain/$domain"
[limits]
requests_per_second = 0
[updates]
max_streams = $3
[[token]]
name = "noc"
secret = "$TOKEN"
scopes = ["ingest"]
END
  shift 3
  while [ $# -gt 0 ]; do
    cat >> "$DIR/$domain.toml" <<END
[[token]]
name = "$1"
secret = "$3"
scopes = ["peer"]
peer = "$1"
[[peer]]
domain = "$1"
directory = "http://127.0.0.1:$2/directory"
token = "$3"
allow_private_addresses = true
import.domains = ["*"]
export.domains = ["*"]
refresh.interval = "1s"
END
    shift 3
  done
  serve "$domain"
  chain+=("$node")
  node=''
}

# Puts the documents of a domain of the chain: states NUMBER INTERCONNECT...
states() {
  local links
  links=$(IFS=,; echo "${*:2}")
  cat > "$DIR/chain/network-map.json" <<END
{"network-map":{"core":{"ipv4":["10.$1.0.0/17"]},"edge":{"ipv4":["10.$1.128.0/17"]}}}
END
  echo '{"cost-map":{"core":{"edge":1},"edge":{"core":1}}}' > "$DIR/chain/cost-map.json"
  echo "{\"interconnects\":{$links}}" > "$DIR/chain/interconnects.json"
  put_all chain
  put chain interconnects.json interconnects
}

# An interconnect as one side states it: link ID BORDER PEER PEER_BORDER
link() {
  echo "\"$1\":{\"border\":\"$2\",\"peer-domain\":\"$3\",\"peer-border\":\"$4\"," \
    "\"relationship\":\"open\",\"costs\":{\"routingcost\":1}}"
}

# Prints the median and the 99th percentile, in ms, of the time that a cost takes from one end of
# a chain of three nodes to the merged view of the other, where the nodes that peers read allow
# this many update streams: two_hops MAX_STREAMS
two_hops() {
  local ports from
  ports=("$(free_port)" "$(free_port)" "$(free_port)")
  rm -rf "$DIR/chain"
  mkdir "$DIR/chain"
  hop isp-a "${ports[0]}" "$1" isp-b "${ports[1]}" "$TOKEN-ab"
  from=$url
  states 1 "$(link ab edge isp-b core)"
  hop isp-b "${ports[1]}" "$1" isp-a "${ports[0]}" "$TOKEN-ab" isp-c "${ports[2]}" "$TOKEN-bc"
  states 2 "$(link ab core isp-a edge)" "$(link bc edge isp-c core)"
  hop isp-c "${ports[2]}" 100 isp-b "${ports[1]}" "$TOKEN-bc"
  states 3 "$(link bc core isp-b edge)"
  "$SPEED" hops "$from" "$url" "$TOKEN"
  for each in "${chain[@]}"; do stop "$each"; done
  chain=()
}

say "two hops"
for ((i = 0; i < RUNS; i++)); do
  two_hops 100 > "$DIR/pushed"
  two_hops 0 > "$DIR/polled"
  read -r pushed_median pushed_p99 < "$DIR/pushed"
  read -r polled_median polled_p99 < "$DIR/polled"
  what='a cost from its PUT to the merged view two hops away'
  run "$what: median, beside polling each second" ms recorded "$pushed_median" "$polled_median"
  run "$what: 99th percentile, beside polling each second" ms recorded "$pushed_p99" "$polled_p99"
done

# --- Within one process --------------------------------------------------------------------------

say "within one process"
"$SPEED" pairs "$DIR/prefixes" >> "$RESULTS"

say "merging"
"$SPEED" merge >> "$RESULTS"
mkdir -p "$DIR/federation"
"$SPEED" federation "$DIR/federation"
for ((i = 0; i < RUNS; i++)); do
  read -r filled row merged < <("$SPEED" cells)
  read -r by_numpy by_scipy between < <("$PYTHON" benches/merge.py "$DIR/federation")
  run 'all 10,000² cells of the merged view in routingcost, beside NumPy' ms recorded \
    "$filled" "$by_numpy"
  run 'a row of 10,000 cells from the federation itself, beside SciPy, one thread each' µs recorded \
    "$row" "$by_scipy"
  run "merging 50 domains of 200 PIDs and 4 borders, beside SciPy's search between interconnects, one thread each" \
    ms recorded "$merged" "$between"
done

"$SPEED" table "$RESULTS"
