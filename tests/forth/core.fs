( The words that RPCL shares with Forth, tested in both: one source, two systems. )
( What is tested follows the core tests of Forth 2012; cells have 64 bits. )
( Run: rpclsh with tester.rpcl, or gforth with tester.fs, before this file. )

: max-int ( - n ) 9223372036854775807 ;
: min-int ( - n ) 1 63 lshift ;
: max-uint ( - n ) -1 ;
: 1s ( - n ) -1 ;

( the tester )
T{ -> }T
T{ 1 2 3 -> 1 2 3 }T
T{ : bitsset? ( n - 0 | 0 0 ) if 0 0 else 0 then ; -> }T
T{ 0 bitsset? -> 0 }T
T{ 1 bitsset? -> 0 0 }T
T{ -1 bitsset? -> 0 0 }T

( bits )
T{ 0 0 and -> 0 }T   T{ 0 1 and -> 0 }T   T{ 1 0 and -> 0 }T   T{ 1 1 and -> 1 }T
T{ 0 invert 1 and -> 1 }T   T{ 1 invert 1 and -> 0 }T
T{ 0 invert -> 1s }T   T{ 1s invert -> 0 }T
T{ 0 0 or -> 0 }T   T{ 0 1s or -> 1s }T   T{ 1s 0 or -> 1s }T   T{ 12 10 or -> 14 }T
T{ 0 0 xor -> 0 }T   T{ 1s 1s xor -> 0 }T   T{ 12 10 xor -> 6 }T   T{ 12 10 and -> 8 }T
T{ 0 2* -> 0 }T   T{ 1 2* -> 2 }T   T{ 16384 2* -> 32768 }T   T{ 1s 2* 1 xor -> 1s }T   T{ min-int 2* -> 0 }T
T{ 0 2/ -> 0 }T   T{ 1 2/ -> 0 }T   T{ 4 2/ -> 2 }T   T{ 1s 2/ -> 1s }T   T{ -5 2/ -> -3 }T
T{ 1s 1 xor 2/ -> 1s }T   T{ min-int 2/ min-int and -> min-int }T
T{ 1 0 lshift -> 1 }T   T{ 1 1 lshift -> 2 }T   T{ 1 15 lshift -> 32768 }T   T{ 1s 1 lshift 1 xor -> 1s }T
T{ min-int 1 lshift -> 0 }T
T{ 1 0 rshift -> 1 }T   T{ 1 1 rshift -> 0 }T   T{ 32768 15 rshift -> 1 }T   T{ min-int 1 rshift min-int and -> 0 }T
T{ min-int 63 rshift -> 1 }T   T{ 1s 60 rshift -> 15 }T

( comparisons )
T{ 0 0= -> -1 }T   T{ 1 0= -> 0 }T   T{ -1 0= -> 0 }T   T{ min-int 0= -> 0 }T   T{ max-int 0= -> 0 }T
T{ 0 0 = -> -1 }T   T{ 1 1 = -> -1 }T   T{ -1 -1 = -> -1 }T   T{ 1 0 = -> 0 }T   T{ -1 1 = -> 0 }T
T{ 0 0 <> -> 0 }T   T{ 1 0 <> -> -1 }T   T{ -1 1 <> -> -1 }T
T{ 0 0< -> 0 }T   T{ -1 0< -> -1 }T   T{ min-int 0< -> -1 }T   T{ 1 0< -> 0 }T   T{ max-int 0< -> 0 }T
T{ 0 0> -> 0 }T   T{ -1 0> -> 0 }T   T{ min-int 0> -> 0 }T   T{ 1 0> -> -1 }T   T{ max-int 0> -> -1 }T
T{ 0 0<> -> 0 }T   T{ 5 0<> -> -1 }T
T{ 0 1 < -> -1 }T   T{ 1 2 < -> -1 }T   T{ -1 0 < -> -1 }T   T{ -1 1 < -> -1 }T   T{ min-int 0 < -> -1 }T
T{ min-int max-int < -> -1 }T   T{ 0 max-int < -> -1 }T   T{ 0 0 < -> 0 }T   T{ 1 0 < -> 0 }T   T{ max-int min-int < -> 0 }T
T{ 0 1 > -> 0 }T   T{ 1 0 > -> -1 }T   T{ 0 -1 > -> -1 }T   T{ max-int min-int > -> -1 }T   T{ 1 1 > -> 0 }T
T{ 0 1 <= -> -1 }T   T{ 1 1 <= -> -1 }T   T{ 2 1 <= -> 0 }T   T{ 0 1 >= -> 0 }T   T{ 1 1 >= -> -1 }T   T{ 2 1 >= -> -1 }T
T{ 0 1 u< -> -1 }T   T{ 1 2 u< -> -1 }T   T{ 0 max-uint u< -> -1 }T   T{ max-uint 0 u< -> 0 }T   T{ 1 1 u< -> 0 }T
T{ max-int min-int u< -> -1 }T
T{ 0 1 min -> 0 }T   T{ 1 2 min -> 1 }T   T{ -1 0 min -> -1 }T   T{ min-int max-int min -> min-int }T   T{ 2 1 min -> 1 }T
T{ 0 1 max -> 1 }T   T{ -1 0 max -> 0 }T   T{ min-int max-int max -> max-int }T   T{ 2 1 max -> 2 }T
T{ 5 0 10 within -> -1 }T   T{ 0 0 10 within -> -1 }T   T{ 10 0 10 within -> 0 }T   T{ -1 0 10 within -> 0 }T
T{ 0 0 0 within -> 0 }T   T{ 1 2 0 within -> 0 }T   T{ 3 2 0 within -> -1 }T   T{ min-int min-int max-int within -> -1 }T

( the stack )
T{ 1 2 2drop -> }T   T{ 1 2 2dup -> 1 2 1 2 }T   T{ 1 2 3 4 2over -> 1 2 3 4 1 2 }T   T{ 1 2 3 4 2swap -> 3 4 1 2 }T
T{ 0 ?dup -> 0 }T   T{ 1 ?dup -> 1 1 }T   T{ -1 ?dup -> -1 -1 }T
T{ depth 0 1 depth -> depth 0 1 depth }T
T{ 0 drop -> }T   T{ 1 2 drop -> 1 }T   T{ 1 dup -> 1 1 }T   T{ 1 2 over -> 1 2 1 }T   T{ 1 2 swap -> 2 1 }T
T{ 1 2 3 rot -> 2 3 1 }T   T{ 1 2 3 -rot -> 3 1 2 }T   T{ 1 2 nip -> 2 }T   T{ 1 2 tuck -> 2 1 2 }T
T{ 1 2 3 0 pick -> 1 2 3 3 }T   T{ 1 2 3 1 pick -> 1 2 3 2 }T   T{ 1 2 3 2 pick -> 1 2 3 1 }T
T{ 1 2 3 0 roll -> 1 2 3 }T   T{ 1 2 3 1 roll -> 1 3 2 }T   T{ 1 2 3 2 roll -> 2 3 1 }T   T{ 1 2 3 4 3 roll -> 2 3 4 1 }T

( the return stack )
T{ : gr1 ( n - n ) >r r> ; -> }T
T{ : gr2 ( n - n n ) >r r@ r> drop ; -> }T
T{ : gr3 ( a b - b a b ) >r r@ swap r> ; -> }T
T{ 123 gr1 -> 123 }T   T{ 123 gr2 -> 123 }T   T{ 1s gr1 -> 1s }T   T{ 1 2 gr3 -> 2 1 2 }T

( numbers )
T{ 0 5 + -> 5 }T   T{ 5 0 + -> 5 }T   T{ 0 -5 + -> -5 }T   T{ 1 2 + -> 3 }T   T{ -1 2 + -> 1 }T   T{ max-int 1 + -> min-int }T
T{ 0 5 - -> -5 }T   T{ 5 0 - -> 5 }T   T{ 1 2 - -> -1 }T   T{ -1 -2 - -> 1 }T   T{ min-int 1 - -> max-int }T
T{ 0 1+ -> 1 }T   T{ -1 1+ -> 0 }T   T{ max-int 1+ -> min-int }T   T{ 2 1- -> 1 }T   T{ 0 1- -> -1 }T   T{ min-int 1- -> max-int }T
T{ 0 negate -> 0 }T   T{ 1 negate -> -1 }T   T{ -1 negate -> 1 }T   T{ min-int negate -> min-int }T
T{ 0 abs -> 0 }T   T{ 1 abs -> 1 }T   T{ -1 abs -> 1 }T   T{ min-int abs -> min-int }T
T{ 0 0 * -> 0 }T   T{ 0 1 * -> 0 }T   T{ 3 3 * -> 9 }T   T{ -3 3 * -> -9 }T   T{ -3 -3 * -> 9 }T   T{ max-int 2 * -> -2 }T
T{ 7 2 / -> 3 }T   T{ -7 2 / -> -4 }T   T{ 7 -2 / -> -4 }T   T{ -7 -2 / -> 3 }T   T{ 0 5 / -> 0 }T   T{ max-int 1 / -> max-int }T
T{ 7 2 mod -> 1 }T   T{ -7 2 mod -> 1 }T   T{ 7 -2 mod -> -1 }T   T{ -7 -2 mod -> -1 }T   T{ 6 3 mod -> 0 }T   T{ -6 3 mod -> 0 }T
T{ 7 2 /mod -> 1 3 }T   T{ -7 2 /mod -> 1 -4 }T   T{ 7 -2 /mod -> -1 -4 }T   T{ -7 -2 /mod -> -1 3 }T
T{ 0 2 1 */ -> 0 }T   T{ 7 3 2 */ -> 10 }T   T{ -7 3 2 */ -> -11 }T   T{ max-int 2 max-int */ -> 2 }T   T{ min-int 2 min-int */ -> 2 }T

( variables )
T{ 1 v1 ! -> }T   T{ v1 @ -> 1 }T   T{ 7 v1 ! v1 @ -> 7 }T   T{ 3 v1 +! v1 @ -> 10 }T   T{ -20 v1 +! v1 @ -> -10 }T
T{ v1 @ v2 ! v2 @ v1 @ = -> -1 }T
T{ : bump ( - n ) v1 @ 1+ dup v1 ! ; bump bump -> -9 -8 }T

( choices )
T{ : gi1 ( flag - ) if 123 then ; -> }T   T{ : gi2 ( flag - n ) if 123 else 234 then ; -> }T
T{ 0 gi1 -> }T   T{ 1 gi1 -> 123 }T   T{ -1 gi1 -> 123 }T   T{ 0 gi2 -> 234 }T   T{ 1 gi2 -> 123 }T   T{ -1 gi1 -> 123 }T
T{ : nested ( a b - n ) if if 1 else 2 then else if 3 else 4 then then ; -> }T
T{ 1 1 nested -> 1 }T   T{ 0 1 nested -> 2 }T   T{ 1 0 nested -> 3 }T   T{ 0 0 nested -> 4 }T
T{ : cs1 ( n - n ) case 1 of 111 endof 2 of 222 endof 3 of 333 endof >r 999 r> endcase ; -> }T
T{ 1 cs1 -> 111 }T   T{ 2 cs1 -> 222 }T   T{ 3 cs1 -> 333 }T   T{ 4 cs1 -> 999 }T
T{ : cs2 ( a b - n ) >r case -1 of case r@ 1 of 100 endof 2 of 200 endof >r -300 r> endcase endof
   -2 of case r@ 1 of -99 endof >r -199 r> endcase endof >r 299 r> endcase r> drop ; -> }T
T{ : cs3 ( n - ) case endcase ; 5 cs3 -> }T

( loops that end by a flag )
T{ : gi3 ( n - ... ) begin dup 5 < while dup 1+ repeat ; -> }T
T{ 0 gi3 -> 0 1 2 3 4 5 }T   T{ 4 gi3 -> 4 5 }T   T{ 5 gi3 -> 5 }T   T{ 6 gi3 -> 6 }T
T{ : gi4 ( n - ... ) begin dup 1+ dup 5 > until ; -> }T
T{ 3 gi4 -> 3 4 5 6 }T   T{ 5 gi4 -> 5 6 }T   T{ 6 gi4 -> 6 7 }T
T{ : gi5 ( n - ... ) begin dup 2 > if exit then dup 1+ again ; 0 gi5 -> 0 1 2 3 }T

( loops that count )
T{ : gd1 ( limit start - ... ) do i loop ; -> }T
T{ 4 1 gd1 -> 1 2 3 }T   T{ 2 -1 gd1 -> -1 0 1 }T   T{ 5 4 gd1 -> 4 }T
T{ : gd2 ( limit start - ... ) do i -1 +loop ; -> }T
T{ 1 4 gd2 -> 4 3 2 1 }T   T{ -1 2 gd2 -> 2 1 0 -1 }T   T{ 0 0 gd2 -> 0 }T
T{ : gd3 ( limit start - ... ) do 1 0 do j loop loop ; -> }T
T{ 4 1 gd3 -> 1 2 3 }T   T{ 2 -1 gd3 -> -1 0 1 }T
T{ : gd4 ( limit start - ... ) do 1 0 do j loop -1 +loop ; -> }T
T{ 1 4 gd4 -> 4 3 2 1 }T
T{ : gd5 ( n - n ) 123 swap 0 do i 4 > if drop 234 leave then loop ; -> }T
T{ 1 gd5 -> 123 }T   T{ 5 gd5 -> 123 }T   T{ 6 gd5 -> 234 }T
T{ : gd6 ( n - n ) 0 swap 0 do i 1+ 0 do i j + 3 = if i unloop i unloop exit then 1+ loop loop ; -> }T
T{ 1 gd6 -> 1 }T   T{ 2 gd6 -> 3 }T   T{ 3 gd6 -> 4 1 2 }T
T{ : qd ( limit start - ... ) ?do i loop ; 789 789 qd -> }T   T{ -9876 -9876 qd -> }T   T{ 5 0 qd -> 0 1 2 3 4 }T
T{ : stepped ( limit start step - ... ) rot rot do i over +loop drop ; -> }T
T{ : by3 ( limit start - ... ) do i 3 +loop ; 10 0 by3 -> 0 3 6 9 }T   T{ 9 0 by3 -> 0 3 6 }T   T{ 1 0 by3 -> 0 }T
T{ : across ( - n ) 0 max-int 1- max-int 2 - do 1+ loop ; across -> 1 }T
T{ : kept ( n - n ) >r 3 0 do i drop loop r> ; 77 kept -> 77 }T
T{ : sum ( n - n ) 0 swap 1+ 0 ?do i + loop ; 100 sum -> 5050 }T

( definitions )
T{ : fac ( n - n ) dup 2 < if drop 1 else dup 1- recurse * then ; 5 fac -> 120 }T   T{ 20 fac -> 2432902008176640000 }T
T{ : fib ( n - n ) dup 2 < if exit then dup 1- recurse swap 2 - recurse + ; 20 fib -> 6765 }T
T{ : early ( n - n ) dup 0< if drop -1 exit then 1+ ; -5 early 5 early -> -1 6 }T
T{ : gcd ( a b - n ) begin dup while tuck mod repeat drop ; 48 36 gcd 17 5 gcd -> 12 1 }T
T{ : power ( n e - n ) 1 swap 0 ?do over * loop nip ; 2 10 power 3 4 power 7 0 power -> 1024 81 1 }T
T{ : square ( n - n ) dup * ; : cube ( n - n ) dup square * ; 3 cube -> 27 }T
T{ true false -> -1 0 }T   T{ bl -> 32 }T

summary
