# SPDX-License-Identifier: BSD-3-Clause
# fish completion for ethertap, collect, control, recall and rpclsh

function __ethertap_queues
    for f in /dev/shm/ixdp.pqueue.*
        string replace -r '.*/' '' -- $f
    end
end

function __ethertap_instances
    set -l dir /run/ethertap
    set -q ETHERTAP_RUNDIR; and set dir $ETHERTAP_RUNDIR
    for f in $dir/*.pid
        string replace -r '.*/(?:(?:ethertap|collect)\.)?(.*)\.pid$' '$1' -- $f
    end
end

# names of the words of RPCL, those of the ethertap that runs if one does, behind what a
# line has before its last word
function __ethertap_line
    set -l line (string replace -r '^[\'"]' '' -- (commandline -ct))
    set -l before (string replace -r '[^ ]*$' '' -- $line)
    set -l name (string match -rg -- '--name[= ](\S+)' (commandline -cp))
    set -q name[1]; and set name --name $name
    begin
        control ethertap $name -e words; or rpclsh -e words
    end </dev/null 2>/dev/null | string match -e -r '^  ' | string split -n ' ' | string match -r '^[a-z0-9][a-z0-9.>&-]*$' | string replace -r '^' -- "$before"
end

for program in ethertap collect control recall rpclsh
    complete -c $program -s h -l help -d 'show usage'
    complete -c $program -s v -l version -d 'show version'
    complete -c $program -s c -l copyright -d 'show copyright'
end

complete -c ethertap -f -a '(string replace -r ".*/" "" -- /sys/class/net/*)'
complete -c ethertap -l config -r -d 'load this instead of /etc/ethertap.rpcl'
complete -c ethertap -s e -l eval -x -a '(__ethertap_line)' -d 'run a line of RPCL before starting'
complete -c ethertap -s d -l daemon -d 'detach and run in background'
complete -c ethertap -l log -r -d 'where a daemon writes its log'
complete -c ethertap -l stay -d 'go on when standard input ends'
complete -c ethertap -l name -x -d 'name of this instance'
complete -c ethertap -l tap-queue -x -a '(__ethertap_queues)' -d 'name of the TAP queue'
complete -c ethertap -l queue-slots -x -d 'slots of the TAP queue when it is made'
complete -c ethertap -l queue-slot-size -x -d 'bytes of a slot'
complete -c ethertap -s q -l queues -x -d 'threads, one per RX queue'
complete -c ethertap -l cpus -x -d 'pin threads to CPUs'
complete -c ethertap -l timestamps -x -a 'software hardware auto' -d 'of received frames'
complete -c ethertap -l poll -x -a 'spin adaptive sleep busy' -d 'when idle'
complete -c ethertap -l hold -x -d 'frames that a delay may hold'
complete -c ethertap -l rings -x -a '512 1024 2048 4096 8192 16384 32768' -d 'frames of each ring'
complete -c ethertap -l fastpath -a 'true false' -d 'leave frames in the kernel that need not wait'
complete -c ethertap -l bpffs -r -d 'BPF file system for bypass.enable'
complete -c ethertap -l check -d 'say what this machine offers and what is wrong with configuration, options and interfaces; attach nothing'
complete -c ethertap -l clear -d 'end the bypass that an instance left which is gone'
complete -c ethertap -l xdp_drv -d 'native XDP or fail'
complete -c ethertap -l xdp_skb -d 'generic XDP'
complete -c ethertap -l zerocopy -d 'zero-copy or fail'
complete -c ethertap -l copy -d 'always copy'
complete -c ethertap -l replace -d 'replace an XDP program that is on an interface'
complete -c ethertap -l http -x -d 'serve a page and metrics at this address'
complete -c ethertap -l demo -d 'a lab with two hosts and a prompt'
complete -c ethertap -l group -x -a '(__fish_complete_groups)' -d 'members may read the queues and ask'
complete -c ethertap -l http-top -x -d 'senders of each interface in the metrics'
complete -c ethertap -l pace -x -a 'original max' -d 'how fast a capture is read'
complete -c ethertap -l loop -x -d 'read a capture so many times'

complete -c collect -s b -l blimit -x -d 'byte limit'
complete -c collect -s p -l plimit -x -d 'packet limit'
complete -c collect -s q -l queue -x -a '(__ethertap_queues)' -d 'packet queue'
complete -c collect -s n -l noreset -d 'do not empty the queue on startup'
complete -c collect -s s -l silent -d 'silent mode'
complete -c collect -s d -l daemon -d 'detach and run in background'
complete -c collect -l duration -x -d 'end after that time'
complete -c collect -l snaplen -x -d 'keep so many bytes of each packet'
complete -c collect -l filter -x -d 'keep what matches, as with tcpdump'
complete -c collect -l format -x -a 'pcap pcap-ns pcapng' -d 'format of the stream'
complete -c collect -l timestamp -x -a 'write receive' -d 'time of a packet'
complete -c collect -l zstd -d compress
complete -c collect -l rotate -x -a 'size= packets= seconds= interval=' -d 'when to begin the next file'
complete -c collect -l index -x -a 'true false' -d 'make indexes of the files'
complete -c collect -l ring -x -d 'keep the last files'
complete -c collect -l check -d 'say what is wrong; record nothing'
complete -c collect -l exec -x -a '(__fish_complete_command)' -d 'run a command on each file that is closed'
complete -c collect -l floor -x -d 'bytes to be left free on the disk'
complete -c collect -l name -x -d 'name for control'
complete -c collect -l log -r -d 'log of a daemon'
complete -c collect -l stream-max-bytes -x -d 'bytes of a stream that is made'
complete -c collect -l stream-max-age -x -d 'age of packets in a stream that is made'
complete -c collect -l replicas -x -a '1 3 5' -d 'copies of a stream that is made'
complete -c collect -l hold -x -d 'bytes held until a stream has them'
complete -c collect -l window -x -d 'packets of several taps wait so long for order'
complete -c collect -l creds -r -d 'credentials for a NATS server'
complete -c collect -l nkey -r -d 'seed of an NKEY for a NATS server'
complete -c collect -l tlsca -r -d 'authorities that a NATS server is checked by'
complete -c collect -l tlscert -r -d 'certificate for a NATS server'
complete -c collect -l tlskey -r -d 'key of the certificate'
complete -c collect -l list -d 'list the queues'
complete -c collect -l json -d 'the list as one line of JSON'

complete -c control -f
complete -c control -n 'not __fish_seen_subcommand_from ethertap collect' -a 'ethertap collect'
complete -c control -n '__fish_seen_subcommand_from ethertap collect' -a 'status stop restart'
complete -c control -n '__fish_seen_subcommand_from ethertap' -a 'reload live'
complete -c control -n '__fish_seen_subcommand_from collect' -a rotate
complete -c control -s e -l eval -x -a '(__ethertap_line)' -d 'run the line and exit'
complete -c control -l name -x -a '(__ethertap_instances)' -d 'instance, by its name or PID'
complete -c control -l all -d 'all instances'
complete -c control -l timeout -x -d 'wait so long for a shutdown'
complete -c control -l kill -d 'kill what has not ended by then'

complete -c recall -s w -l write -r -d 'where packets go'
complete -c recall -l format -x -a 'pcap pcap-ns pcapng' -d 'format of the output'
complete -c recall -l zstd -d compress
complete -c recall -l from -x -d 'packets from that time on'
complete -c recall -l to -x -d 'packets before that time'
complete -c recall -s n -l limit -x -d 'end after so many packets'
complete -c recall -l first -d 'only the first packet'
complete -c recall -l last -d 'only the last packet'
complete -c recall -l interface -x -d 'packets of that interface'
complete -c recall -l direction -x -a 'in out' -d 'packets that an interface received or sent'
complete -c recall -l count -d 'print how many packets there are'
complete -c recall -l list -d 'list files'
complete -c recall -l json -d 'the list as one line of JSON'
complete -c recall -l index -d 'make the indexes of files that have none'
complete -c recall -l whole -d 'read all of each file, without its index'
complete -c recall -l creds -r -d 'credentials for a NATS server'
complete -c recall -l nkey -r -d 'seed of an NKEY for a NATS server'
complete -c recall -l tlsca -r -d 'authorities that a NATS server is checked by'
complete -c recall -l tlscert -r -d 'certificate for a NATS server'
complete -c recall -l tlskey -r -d 'key of the certificate'
complete -c recall -s s -l silent -d 'show no progress'

complete -c rpclsh -s q -l queue -x -a '(__ethertap_queues)' -d 'packet queue'
complete -c rpclsh -s e -l eval -x -a '(__ethertap_line)' -d 'run a line of RPCL'
complete -c rpclsh -s i -l interactive -d 'prompt even if standard input is no terminal'
