\ Output formatting and reports.

\ program: multiplication table
: header ( -- ) 4 spaces 6 1 do i 4 .r loop cr ;
: line ( n -- ) dup 2 .r ."  |" 6 1 do dup i * 4 .r loop drop cr ;
: table ( -- ) header 6 1 do i line loop ;
table

\ program: temperatures
: celsius ( f -- c ) 32 - 5 9 */ ;
: fahrenheit ( c -- f ) 9 5 */ 32 + ;
: report ( -- ) ." celsius fahrenheit" cr 41 0 do i 7 .r i fahrenheit 11 .r cr 10 +loop ;
report 212 celsius .

\ program: money with two decimals
: digits ( n -- ) dup 10 < if [char] 0 emit then 0 .r ;
: money ( cents -- ) dup 0< if [char] - emit negate then 100 /mod 0 .r [char] . emit digits ;
123456 money cr -5 money cr 100 money cr
: interest ( cents percent -- cents ) over swap 100 */ + ;
: years ( cents n -- ) 0 do 5 interest dup money cr loop drop ;
100000 3 years

\ program: calendar
: leap? ( year -- flag ) dup 4 mod 0= over 100 mod 0<> and swap 400 mod 0= or ;
: days ( month year -- n )
  swap case 2 of leap? if 29 else 28 then endof
    dup 4 = over 6 = or over 9 = or over 11 = or if drop drop 30 0 else drop drop 31 0 then endcase ;
: month ( first days -- )
  over 3 * spaces
  1+ 1 do i 3 .r dup i + 7 mod 0= if cr then loop drop cr ;
2 2024 days . 2 2026 days . 4 2026 days . 12 2026 days . cr
2 30 month

\ program: weekday
: weekday ( day month year -- n )
  over 3 < if 1- swap 12 + swap then
  dup 4 / over 100 / - over 400 / + + swap 1+ 13 5 */ + + 6 + 7 mod ;
: .day ( n -- ) case 0 of ." Sun" endof 1 of ." Mon" endof 2 of ." Tue" endof 3 of ." Wed" endof
  4 of ." Thu" endof 5 of ." Fri" endof 6 of ." Sat" endof endcase cr ;
29 11 2026 weekday .day 1 1 2000 weekday .day

\ program: bar chart of a list
: bar ( n -- ) dup 4 .r space 0 ?do [char] = emit loop cr ;
: chart ( n... n -- ) 0 ?do bar loop ;
3 9 1 6 4 chart

\ program: statistics
variable sum   variable n   variable least   variable most
: start ( -- ) 0 sum ! 0 n ! 1000000 least ! -1000000 most ! ;
: sample ( n -- ) dup sum +! 1 n +! dup least @ min least ! most @ max most ! ;
: report ( -- )
  ." samples " n @ 5 .r cr ." mean    " sum @ n @ / 5 .r cr ." least   " least @ 5 .r cr ." most    " most @ 5 .r cr ;
start 12 sample 7 sample 30 sample -4 sample 55 sample report

\ program: throughput
: unit ( n -- n ) dup 1000000 >= if 1000000 / 0 .r ."  Mbit/s" else dup 1000 >= if 1000 / 0 .r ."  kbit/s" else 0 .r ."  bit/s" then then cr ;
: rate ( bytes ms -- ) >r 8 * 1000 r> */ unit ;
1250000 1000 rate 1500 10 rate 12 1000 rate

\ program: flags by name
1 constant syn   2 constant ack   4 constant fin   8 constant rst
: flag ( flags mask -- flags flag ) over and 0<> ;
: .flags ( flags -- ) syn flag if ." SYN " then ack flag if ." ACK " then fin flag if ." FIN " then rst flag if ." RST " then drop cr ;
syn .flags syn ack or .flags fin ack or .flags $f .flags 0 .flags

\ program: hexadecimal by hand
: nibble ( n -- ) dup 9 > if 7 + then 48 + emit ;
: hex2 ( n -- ) dup 4 rshift nibble 15 and nibble ;
: hex4 ( n -- ) dup 8 rshift hex2 255 and hex2 ;
$88cc hex4 cr %1010 hex2 cr 255 hex2 cr
: mac ( a b c d e f -- ) 6 0 do 5 i - roll hex2 i 5 < if [char] : emit then loop cr ;
0 35 125 134 113 255 mac

\ program: checksum of the internet
: folded ( n -- n ) begin dup $ffff > while dup $ffff and swap 16 rshift + repeat ;
: checksum ( w... n -- n ) 0 swap 0 ?do + loop folded $ffff xor ;
$4500 $0073 $0000 $4000 $4011 $c0a8 $0001 $c0a8 $00c7 9 checksum .

\ program: a report only where words are there
[undefined] nosuchword [if] : nosuchword ." made here" cr ; [else] ." was there" cr [then]
nosuchword
[defined] dup [if] ." dup is there" [else] ." no dup" [then] cr
0 [if]
  this is skipped, with "quotes and ( brackets
[then]
1 [if] 0 [if] ." inner" [else] ." outer" [then] [else] ." none" [then] cr
