\ Recursion and control.

\ program: factorial
: factorial ( n -- n ) dup 2 < if drop 1 else dup 1- recurse * then ;
: factorials ( n -- ) 0 do i 0 .r ." ! = " i factorial 0 .r cr loop ;
11 factorials

\ program: fibonacci twice
: fib ( n -- n ) dup 2 < if exit then dup 1- recurse swap 2 - recurse + ;
: fib-fast ( n -- n ) 0 1 rot 0 ?do over + swap loop drop ;
20 fib . 20 fib-fast . 90 fib-fast .

\ program: towers of hanoi
variable moves
: move-disk ( from to -- ) 1 moves +! swap 0 .r ." ->" 0 .r space ;
: hanoi ( n from to via -- )
  3 pick 0= if 2drop 2drop exit then
  3 pick 1- 3 pick 2 pick 4 pick recurse
  2 pick 2 pick move-disk
  3 pick 1- over 3 pick 5 pick recurse
  2drop 2drop ;
0 moves ! 3 1 3 2 hanoi cr moves @ .

\ program: ackermann
: ack ( m n -- n )
  over 0= if nip 1+ exit then
  dup 0= if drop 1- 1 recurse exit then
  over 1- -rot 1- recurse recurse ;
2 3 ack . 3 3 ack .

\ program: binary digits
: binary ( n -- ) dup 1 > if dup 2/ recurse then 1 and 0 .r ;
0 binary cr 5 binary cr 1023 binary cr

\ program: mutual recursion by defer
defer odd?
: even? ( n -- flag ) dup 0= if drop true else 1- odd? then ;
:noname ( n -- flag ) dup 0= if drop false else 1- even? then ; is odd?
10 even? . 7 even? . 7 odd? .

\ program: catch and throw
: checked-sqrt ( n -- n ) dup 0< if 42 throw then 0 begin 2dup dup * > while 1+ repeat nip ;
: try-it ( n -- ) ['] checked-sqrt catch if drop ." failed" else . then cr ;
16 try-it -1 try-it 25 try-it
: positive ( n -- n ) dup 0> 0= abort" not positive" ;
5 positive . -5 ' positive catch . drop

\ program: exits from loops
: first-multiple ( n limit -- n | -1 ) 1 do i over mod 0= if drop i unloop exit then loop drop -1 ;
7 100 first-multiple . 200 100 first-multiple .
: until-ten ( -- n ) 0 begin 1+ dup 10 = if exit then again ;
until-ten .
: skipping ( -- ) 10 0 do i 5 = if leave then i . loop ;
skipping

\ program: two whiles
: search-for ( n -- ) 0 begin dup 20 < while 2dup dup * <> while 1+ repeat ." root " . else ." no root" drop then drop cr ;
49 search-for 50 search-for

\ program: menu with case
: menu ( n -- )
  case
    1 of ." open" endof
    2 of ." save" endof
    3 of ." close" endof
    dup 4 10 within if ." reserved" else ." unknown" then
  endcase cr ;
1 menu 3 menu 7 menu 12 menu

\ program: execution tokens in a loop
: twice ( n xt -- n ) dup >r execute r> execute ;
: times ( n xt k -- n ) 0 ?do swap over execute swap loop drop ;
3 ' 2* twice . 1 ' 2* 10 times . 5 ' negate 3 times .
: square dup * ;
: apply-all ( n -- ) dup ['] 1+ execute . dup ['] square execute . ['] 0< execute . ;
9 apply-all
