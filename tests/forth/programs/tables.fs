\ Tables, buffers, variables, values.

\ program: sieve of Eratosthenes
100 constant size
size buffer: flags
: strike ( n -- ) dup dup * begin dup size < while 1 over flags b! over + repeat 2drop ;
: sieve ( -- ) flags size erase size 2 do i flags b@ 0= if i strike then loop ;
: show ( -- ) size 2 do i flags b@ 0= if i . then loop ;
sieve show

\ program: histogram
80 buffer: counts
: cleared ( -- ) counts 80 0 fill ;
: tally ( n -- ) dup counts cell@ 1+ swap counts cell! ;
: bar ( n -- ) 0 ?do [char] # emit loop ;
: chart ( -- ) 5 0 do i 2 .r space i counts cell@ bar cr loop ;
cleared 0 tally 3 tally 3 tally 1 tally 3 tally 4 tally chart

\ program: bubble sort
80 buffer: list
: list! ( n... n -- ) begin dup while 1- tuck list cell! repeat drop ;
: pair ( i -- a b ) dup list cell@ swap 1+ list cell@ ;
: exchange ( i -- ) dup pair swap 2 pick 1+ list cell! swap list cell! ;
: sort ( n -- ) 1- dup 0 ?do dup 0 ?do i pair > if i exchange then loop loop drop ;
: show ( n -- ) 0 ?do i list cell@ . loop ;
34 -5 12 99 0 7 1 23 88 42 10 list! 10 sort 10 show

\ program: binary search
64 buffer: sorted
: prepared ( -- ) 8 0 do i dup * i sorted cell! loop ;
variable lo  variable hi
: find-it ( n -- index | -1 )
  0 lo ! 7 hi !
  begin lo @ hi @ <= while
    lo @ hi @ + 2/ 2dup sorted cell@ =
    if nip exit then
    2dup sorted cell@ > if 1+ lo ! else 1- hi ! then
  repeat drop -1 ;
prepared 25 find-it . 0 find-it . 49 find-it . 26 find-it .

\ program: matrix
72 buffer: matrix
: index ( row column -- n ) swap 3 * + ;
: m@ ( row column -- n ) index matrix cell@ ;
: m! ( n row column -- ) index matrix cell! ;
: table ( -- ) 3 0 do 3 0 do j 1+ i 1+ * j i m! loop loop ;
: row ( n -- ) 3 0 do dup i m@ 4 .r loop drop cr ;
: trace ( -- n ) 0 3 0 do i i m@ + loop ;
table 0 row 1 row 2 row trace .

\ program: pascal's triangle
128 buffer: line
: start ( -- ) line 128 erase 1 0 line cell! ;
: next-line ( n -- ) 1 swap do i line cell@ i 1- line cell@ + i line cell! -1 +loop ;
: show-line ( n -- ) 1+ 0 do i line cell@ 0 .r space loop cr ;
: pascal ( n -- ) start 0 show-line 1+ 1 do i next-line i show-line loop ;
6 pascal

\ program: stack in a buffer
80 buffer: items   variable top
: push ( n -- ) top @ items cell! 1 top +! ;
: pop ( -- n ) -1 top +! top @ items cell@ ;
0 top ! 10 push 20 push 30 push pop . pop . 40 push pop . pop . top @ .

\ program: queue in a ring
8 constant slots   64 buffer: ring   variable head   variable tail
: wrapped ( n -- n ) slots mod ;
: full? ( -- flag ) head @ tail @ - slots = ;
: put ( n -- flag ) full? if drop false exit then head @ wrapped ring cell! 1 head +! true ;
: get ( -- n flag ) head @ tail @ = if 0 false exit then tail @ wrapped ring cell@ 1 tail +! true ;
: filled ( -- n ) 0 begin dup 100 + put while 1+ repeat ;
0 head ! 0 tail ! filled . get . . get . . 7 put . head @ tail @ - .

\ program: values and constants
10 constant limit   0 value total
: add ( n -- ) total + limit min to total ;
3 add total . 5 add total . 9 add total .
variable v  7 v !  v @ .  3 v +!  v @ .  v @ negate v !  v @ .

\ program: run-length coding
16 buffer: text
: fill-text ( -- ) 12 0 do i 5 < if 65 else i 9 < if 66 else 67 then then i text b! loop ;
: run ( i -- n ) dup text b@ swap 1+ begin dup 12 < if 2dup text b@ = else false then while 1+ repeat nip ;
: encode ( -- ) 0 begin dup 12 < while dup run 2dup swap - 0 .r over text b@ emit nip repeat drop cr ;
fill-text encode

\ program: game of life in a row
80 buffer: cells1   80 buffer: cells2
: alive ( i -- n ) dup 0< over 19 > or if drop 0 else cells1 b@ then ;
: rule ( i -- n ) dup 1- alive over alive 2 * + swap 1+ alive 4 * + 90 swap rshift 1 and ;
: generation ( -- ) 20 0 do i rule i cells2 b! loop cells2 cells1 20 move ;
: show ( -- ) 20 0 do i cells1 b@ if [char] o else [char] . then emit loop cr ;
cells1 20 erase 1 10 cells1 b! : life ( n -- ) 0 do show generation loop ; 5 life

\ program: locals
: area {: width height -- n :} width height * ;
: clamp {: n low high :} n low max high min ;
: polynomial 0 {: x sum -- n :} 5 0 do sum x * i 1+ + to sum loop sum ;
3 4 area . 15 0 10 clamp . -5 0 10 clamp . 2 polynomial .
: gcd {: a b :} b 0= if a else b a b mod recurse then ;
1071 462 gcd .
