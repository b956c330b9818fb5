\ Strings and characters.

\ program: greetings
: hello ." Hello, world!" cr ;
: greet ( -- ) s" Good " type s" morning" type [char] ! emit cr ;
hello greet
.( read at once) cr

\ program: rows of characters
: stars ( n -- ) 0 ?do [char] * emit loop ;
: triangle ( n -- ) 1+ 1 ?do i stars cr loop ;
: pyramid ( n -- ) dup 0 ?do dup i - 1- spaces i 2* 1+ stars cr loop drop ;
4 triangle 4 pyramid

\ program: alphabet
: alphabet ( -- ) [char] z 1+ [char] a do i emit loop cr ;
: backwards ( -- ) [char] A [char] Z do i emit -1 +loop cr ;
alphabet backwards

\ program: rot13 of codes
: letter? ( c -- flag ) dup [char] a [char] z 1+ within swap [char] A [char] Z 1+ within or ;
: rot13 ( c -- c ) dup letter? if dup 32 and >r 95 and 65 - 13 + 26 mod 65 + r> or then ;
char H rot13 emit char e rot13 emit char l rot13 dup emit emit char o rot13 emit char ! rot13 emit cr

\ program: caesar by key
: shift ( c key -- c ) swap [char] a - + 26 mod [char] a + ;
: encode ( key -- ) [char] f [char] a do i over shift emit loop drop cr ;
3 encode 25 encode

\ program: comparing words
: order ( n -- ) dup 0< if drop ." before" else 0= if ." same" else ." after" then then cr ;
s" apple" s" banana" compare order
s" pear" s" pear" compare order
s" pearl" s" pear" compare order

\ program: searching
: found ( flag -- ) if ." found" else ." missing" then cr ;
: look1 s" the quick brown fox" s" quick" search found type cr ;
: look2 s" the quick brown fox" s" slow" search found type cr ;
look1 look2

\ program: cutting
: tail s" packet.dump" 7 /string type cr ;
: trimmed s" right   " -trailing type ." |" cr ;
tail trimmed

\ program: evaluate text
: compute s" 3 4 + 2 *" evaluate ;
compute .
s" : late-word 99 ;" evaluate late-word .

\ program: plural
: plural ( n -- ) dup 0 .r ."  frame" 1 <> if ." s" then cr ;
0 plural 1 plural 2 plural

\ program: digits in words
: digit ( n -- )
  case 0 of ." zero" endof 1 of ." one" endof 2 of ." two" endof 3 of ." three" endof 4 of ." four" endof
    5 of ." five" endof 6 of ." six" endof 7 of ." seven" endof 8 of ." eight" endof 9 of ." nine" endof endcase ;
: spell ( n -- ) dup 9 > if dup 10 / recurse space 10 mod then digit ;
2026 spell cr 7 spell cr

\ program: roman numerals
variable rest
: part ( n -- flag ) rest @ over >= if negate rest +! true else drop false then ;
: roman ( n -- )
  rest !
  begin 1000 part while ." M" repeat
  900 part if ." CM" then 500 part if ." D" then 400 part if ." CD" then
  begin 100 part while ." C" repeat
  90 part if ." XC" then 50 part if ." L" then 40 part if ." XL" then
  begin 10 part while ." X" repeat
  9 part if ." IX" then 5 part if ." V" then 4 part if ." IV" then
  begin 1 part while ." I" repeat cr ;
1994 roman 2026 roman 49 roman
