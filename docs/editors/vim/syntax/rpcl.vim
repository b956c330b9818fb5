" Vim syntax file for RPCL, the language of EtherTAP.
" Copy docs/editors/vim to ~/.vim, or into a package of yours.
if exists("b:current_syntax")
  finish
endif
syn case match

" words: made by go test ./tests -update
syn match rpclControl /\V\%(\^\|\s\)\@1<=\%([undefined]\|[defined]\|:noname\|endcase\|recurse\|[else]\|[then]\|repeat\|unloop\|+loop\|again\|begin\|endof\|leave\|until\|while\|[if]\|case\|else\|exit\|loop\|then\|?do\|[']\|.(\|do\|if\|of\|to\|{:\|:\|;\|i\|j\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(fault.bitflip.correlation\|fault.bitflip.probability\|fault.corrupt.correlation\|fault.corrupt.probability\|fault.reorder.correlation\|fault.reorder.probability\|fault.delay.distribution\|fault.length.correlation\|fault.length.probability\|tap.queue.producers.json\|fault.drop.correlation\|fault.drop.probability\|fault.dup.correlation\|fault.dup.probability\|fault.ecn.correlation\|fault.ecn.probability\|pqueue.producers.json\|tap.queue.status.json\|fastpath.status.json\|fault.bitflip.every\|fault.corrupt.every\|fault.delay.ordered\|fault.reorder.every\|tap.queue.overwrite\|tap.queue.producers\|bypass.status.json\|fault.length.every\|pqueue.hash.delete\|pqueue.hash.insert\|pqueue.status.json\|replay.status.json\|tap.queue.who.json\|fault.cut.carrier\|fault.filter.json\|fault.filter.show\|fault.hash.delete\|fault.hash.insert\|packet.ip.payload\|pqueue.hash.reset\|pqueue.rx.disable\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(pqueue.tx.disable\|drop.filter.json\|drop.filter.show\|drop.hash.delete\|drop.hash.insert\|fastpath.disable\|fault.drop.every\|fault.hash.reset\|packet.fragment?\|packet.icmp.code\|packet.icmp.type\|packet.tcp.flags\|pqueue.hash.json\|pqueue.hash.show\|pqueue.overwrite\|pqueue.producers\|pqueue.rx.enable\|pqueue.rx.filter\|pqueue.tx.enable\|pqueue.tx.filter\|tap.queue.delete\|tap.queue.status\|drop.hash.reset\|fastpath.enable\|fastpath.status\|fault.dup.every\|fault.ecn.every\|fault.hash.json\|fault.hash.show\|load-if-present\|packet.checksum\|packet.ip.proto\|pqueue.who.json\|str->macrange_t\|tap.filter.json\|tap.filter.show\|tap.hash.delete\|tap.hash.insert\|tap.queue.fault\|tap.queue.reset\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(bypass.disable\|drop.hash.json\|drop.hash.show\|if.etype.reset\|if.qstats.json\|if.stats.reset\|packet.arp.dst\|packet.arp.src\|packet.payload\|packet.summary\|packet.tcp.ack\|packet.tcp.seq\|str->iprange_t\|tap.hash.reset\|tap.rx.disable\|tap.tx.disable\|bypass.enable\|bypass.status\|fault.disable\|if.check.json\|if.etype.json\|if.etype.show\|if.rates.json\|if.stats.json\|if.timestamps\|packet.arp.op\|packet.ip.dst\|packet.ip.src\|packet.ip.tos\|packet.ip.ttl\|packet.layers\|pqueue.create\|pqueue.delete\|pqueue.remove\|pqueue.status\|replay.resume\|replay.status\|tap.hash.json\|tap.hash.show\|tap.queue.get\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(tap.queue.who\|tap.rx.enable\|tap.rx.filter\|tap.tx.enable\|tap.tx.filter\|bypass.limit\|fault.enable\|fault.filter\|fault.outage\|fault.preset\|filter.match\|if.list.json\|if.mac.reset\|if.stats.all\|packet.dport\|packet.etype\|packet.icmp?\|packet.sctp?\|packet.sport\|packet.vlans\|pqueue.reset\|replay.ended\|replay.pause\|buffer.fill\|buffer.size\|drop.filter\|exit-status\|fault.burst\|fault.delay\|fault.reset\|fault.trace\|if.mac.json\|if.mac.show\|num->uint16\|num->uint32\|num->uint64\|packet.arp?\|packet.body\|packet.ip4?\|packet.ip6?\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(packet.show\|packet.tcp?\|packet.udp?\|packet.vlan\|pqueue.json\|pqueue.show\|range.count\|range.first\|replay.seek\|replay.wait\|str.replace\|timer-start\|buffer.get\|buffer.put\|data.crc32\|data.patch\|data.slice\|error-text\|fault.json\|fault.mend\|fault.rate\|fault.seed\|fault.show\|num->int16\|num->int32\|num->int64\|num->uint8\|packet.dst\|packet.has\|packet.len\|packet.src\|pqueue.add\|pqueue.get\|pqueue.who\|print-time\|range.last\|str->ip4_t\|str->mac_t\|str.format\|str.repeat\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(str.starts\|timer-show\|-trailing\|action-of\|base->num\|code->str\|data->hex\|data->num\|data->str\|data.find\|data.h16!\|data.h16@\|data.h32!\|data.h32@\|data.h64!\|data.h64@\|fault.cut\|hex->data\|if.qstats\|load.list\|num->base\|num->data\|num->int8\|read-line\|str->data\|str->ip_t\|str->time\|str.lower\|str.slice\|str.split\|str.upper\|time&date\|time->str\|.exec-sp\|address+\|constant\|data.16!\|data.16@\|data.32!\|data.32@\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(data.64!\|data.64@\|data.len\|data.new\|evaluate\|if.check\|if.rates\|if.start\|if.stats\|ip4->num\|mac->num\|num->ip4\|num->mac\|num->str\|random32\|random64\|str->num\|str.code\|str.ends\|str.find\|str.join\|str.trim\|variable\|\/string\|apropos\|buffer:\|buffers\|capture\|compare\|data.8!\|data.8@\|datacat\|execute\|if.list\|if.poll\|if.stop\|minutes\|seconds\|str.cat\|str.len\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(tap.off\|[char]\|abort"\|bounds\|buffer\|defer!\|defer@\|delete\|exists\|getenv\|invert\|lshift\|member\|negate\|rshift\|search\|spaces\|tap.on\|typeof\|within\|*\/mod\|2drop\|2over\|2swap\|abort\|catch\|cell!\|cell@\|defer\|depth\|erase\|false\|pager\|range\|space\|throw\|ticks\|value\|watch\|words\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(-rot\|\/mod\|2dup\|?dup\|argc\|argv\|bin.\|char\|drop\|emit\|fill\|help\|hex.\|key?\|load\|move\|num?\|over\|page\|pick\|quit\|roll\|swap\|true\|tuck\|type\|.cs\|0<=\|0<>\|0>=\|2>r\|2r>\|2r@\|abs\|and\|bye\|dup\|key\|max\|min\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(mod\|nip\|not\|now\|off\|rot\|see\|try\|u.r\|u<=\|u>=\|xor\|!!\|*\/\|+!\|."\|.d\|.i\|.r\|.s\|.x\|0<\|0=\|0>\|1+\|1-\|2*\|2\/\|<=\|<>\|>=\|>r\|b!\|b@\|bl\|cr\|is\|ms\|on\|or\)\%(\$\|\s\)\@=/
syn match rpclWord /\V\%(\^\|\s\)\@1<=\%(r>\|r@\|s"\|u.\|u<\|u>\|!\|'\|*\|+\|-\|.\|\/\|<\|=\|>\|?\|@\|{\|}\)\%(\$\|\s\)\@=/
" end of words

syn match rpclNumber /\%(^\|\s\)\@1<=-\=\%(0[xX]\x\+\|0[bB][01]\+\|\d\+\|\$-\=\x\+\|%-\=[01]\+\)\%($\|\s\)\@=/
syn match rpclNumber /\%(^\|\s\)\@1<='.'\%($\|\s\)\@=/
syn match rpclAddress /\%(^\|\s\)\@1<=\x\x\%(:\x\x\)\{5}\%(-\x\x\%(:\x\x\)\{5}\)\=\%($\|\s\)\@=/
syn match rpclAddress /\%(^\|\s\)\@1<=\d\+\%(\.\d\+\)\{3}\%(-\d\+\%(\.\d\+\)\{3}\)\=\%($\|\s\)\@=/
syn match rpclAddress /\%(^\|\s\)\@1<=\x*:\x*:[0-9a-fA-F:.]*\%(-[0-9a-fA-F:.]\+\)\=\%($\|\s\)\@=/
syn match rpclDefinition /\%(^\|\s\)\@1<=\%(:\|variable\|constant\|value\|defer\|buffer:\)\s\+\S\+/
syn match rpclEscape contained /\\\%(["\\ntr]\|x\x\x\)/
syn region rpclString start=/\%(^\|\s\)\@1<="/ skip=/\\./ end=/"/ oneline contains=rpclEscape
syn region rpclString start=/\%(^\|\s\)\@1<=\%(\.\|s\|abort\)"\%(\s\|$\)\@=/ end=/"/ oneline
syn region rpclString start=/\%(^\|\s\)\@1<=\.(\%(\s\|$\)\@=/ end=/)/ oneline
syn match rpclComment /\%(^\|\s\)\@1<=#.*$/
syn match rpclComment /\%(^\|\s\)\@1<=\\\%(\s.*\)\=$/
syn region rpclComment start=/\%(^\|\s\)\@1<=(\%(\s\|$\)\@=/ end=/\%(^\|\s\)\@1<=[^( \t]*)\%($\|\s\)\@=/

hi def link rpclControl Statement
hi def link rpclWord Function
hi def link rpclNumber Number
hi def link rpclAddress Constant
hi def link rpclDefinition Define
hi def link rpclString String
hi def link rpclEscape SpecialChar
hi def link rpclComment Comment

let b:current_syntax = "rpcl"
