# SPDX-License-Identifier: BSD-3-Clause
# bash completion for ethertap, collect, control, recall and rpclsh

# names of the running instances of a program
_ethertap_instances() {
	local dir=${ETHERTAP_RUNDIR:-/run/ethertap} f
	for f in "$dir/$1".*pid; do
		f=${f##*/} f=${f%.pid}
		[ "$f" = "$1" ] && echo "$1" || echo "${f#"$1".}"
	done 2>/dev/null
}

_ethertap_queues() { (cd /dev/shm && ls -d ixdp.pqueue.* 2>/dev/null); }

# names of the words of RPCL, those of the ethertap that runs if one does:
# _ethertap_words [instance]
_ethertap_words() {
	{ control ethertap ${1:+--name "$1"} -e words || rpclsh -e words; } </dev/null 2>/dev/null |
		grep '^  ' | tr -s ' ' '\n' | grep '^[a-z0-9][a-z0-9.>&-]*$'
}

# the last word of a line of RPCL; what stands before it stays: _ethertap_line instance line
_ethertap_line() {
	local line=${2#[\'\"]} last w
	last=${line##* }
	for w in $(compgen -W "$(_ethertap_words "$1")" -- "$last"); do
		COMPREPLY+=("${line%"$last"}$w")
	done
}

_ethertap_complete() {
	local program=${COMP_WORDS[0]##*/} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} w target= instance=
	local common="-h --help -v --version -c --copyright" words=
	local last=
	COMPREPLY=()
	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $w in ethertap | collect) target=$w ;; esac
		[ "$last" = --name ] && instance=$w
		last=$w
	done
	case $program:$before in
	*:-q | *:--queue | *:--tap-queue)
		[ "$program:$before" = ethertap:-q ] || words=$(_ethertap_queues)
		COMPREPLY=($(compgen -W "$words" -- "$word")); return ;;
	*:--bpffs) COMPREPLY=($(compgen -d -- "$word")); return ;;
	*:--config | *:--log | *:--creds | *:--nkey | *:--tls*) COMPREPLY=($(compgen -f -- "$word")); return ;;
	control:--name) COMPREPLY=($(compgen -W "$(_ethertap_instances "${target:-ethertap}")" -- "$word")); return ;;
	ethertap:--timestamps) COMPREPLY=($(compgen -W "software hardware auto" -- "$word")); return ;;
	ethertap:--poll) COMPREPLY=($(compgen -W "spin adaptive sleep busy" -- "$word")); return ;;
	collect:--exec) COMPREPLY=($(compgen -c -- "$word")); return ;;
	collect:--format | recall:--format) COMPREPLY=($(compgen -W "pcap pcap-ns pcapng" -- "$word")); return ;;
	recall:--direction) COMPREPLY=($(compgen -W "in out" -- "$word")); return ;;
	recall:-w | recall:--write) COMPREPLY=($(compgen -f -- "$word")); return ;;
	recall:--from | recall:--to | recall:-n | recall:--limit | recall:--interface) return ;;
	collect:--timestamp) COMPREPLY=($(compgen -W "write receive" -- "$word")); return ;;
	collect:--rotate) compopt -o nospace; COMPREPLY=($(compgen -W "size= packets= seconds= interval=" -- "$word")); return ;;
	*:-e | *:--eval) _ethertap_line "$instance" "$word"; return ;;
	*:--name | *:--group | *:--stream-max-* | *:--replicas | *:--window | *:--http | *:--http-top | *:--pace | *:--loop | *:--queues | *:--cpus | *:--hold | *:--rings | *:--queue-slots | *:--queue-slot-size | *:-b | *:--blimit | *:-p | *:--plimit | *:--duration | *:--snaplen | *:--filter | *:--ring | *:--floor | *:--timeout) return ;;
	esac
	case $program:$word in
	ethertap:-*) words="--config -e --eval -d --daemon --log --stay --name --tap-queue --queue-slots --queue-slot-size -q --queues --cpus --poll --timestamps --hold --rings --fastpath --bpffs --check --clear --xdp_drv --xdp_skb --zerocopy --copy --replace --pace --loop --demo --group --http --http-top $common" ;;
	collect:-*) words="-b --blimit -p --plimit -q --queue -n --noreset -s --silent -d --daemon --duration --snaplen --filter --format --timestamp --zstd --rotate --ring --index --exec --floor --check --name --log --stream-max-bytes --stream-max-age --replicas --hold --window --creds --nkey --tlsca --tlscert --tlskey --list --json $common" ;;
	control:-*) words="-e --eval --name --all --timeout --kill $common" ;;
	recall:-*) words="-w --write --format --zstd --from --to -n --limit --first --last --interface --direction --count --list --json --index --whole --creds --nkey --tlsca --tlscert --tlskey -s --silent $common" ;;
	rpclsh:-*) words="-q --queue -e --eval -i --interactive $common" ;;
	ethertap:pcap:*) COMPREPLY=($(compgen -P pcap: -f -- "${word#pcap:}")); return ;;
	ethertap:*) words=$(ls /sys/class/net) ;;
	control:*)
		case $target in
		ethertap) words="status stop restart reload live" ;;
		collect) words="status stop restart rotate" ;;
		*) words="ethertap collect" ;;
		esac ;;
	*) COMPREPLY=($(compgen -f -- "$word")); return ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -o bashdefault -F _ethertap_complete ethertap control
complete -o filenames -F _ethertap_complete collect recall rpclsh
