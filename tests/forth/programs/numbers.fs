\ Number games and puzzles.

\ program: fizzbuzz
: fizz? ( n -- flag ) 3 mod 0= ;
: buzz? ( n -- flag ) 5 mod 0= ;
: fizzbuzz ( n -- )
  1+ 1 do
    i fizz? i buzz? 2dup and if 2drop ." FizzBuzz"
    else if drop ." Buzz" else if ." Fizz" else i 0 .r then then then
    space
  loop ;
20 fizzbuzz cr

\ program: guess the number by halving
variable secret   variable low   variable high   variable tries
: guess ( -- n ) low @ high @ + 2/ ;
: play ( n -- )
  secret !  1 low !  100 high !  0 tries !
  begin
    1 tries +!
    guess dup secret @ <>
  while
    dup secret @ < if 1+ low ! else 1- high ! then
  repeat
  ." found " 0 .r ."  in " tries @ 0 .r ."  tries" cr ;
37 play  1 play  100 play  50 play

\ program: collatz
: next-term ( n -- n ) dup 1 and if 3 * 1+ else 2/ then ;
: steps ( n -- n ) 0 swap begin dup 1 <> while next-term swap 1+ swap repeat drop ;
27 steps . 97 steps . cr
: longest ( n -- n ) 1 swap 1 0 rot 1+ 1 do i steps 2dup < if nip nip i swap else drop then loop drop nip ;
1000 longest .

\ program: perfect numbers
: divisor-sum ( n -- n ) 0 over 1 ?do over i mod 0= if i + then loop nip ;
: perfect? ( n -- flag ) dup divisor-sum = ;
: perfects ( n -- ) 2 ?do i perfect? if i . then loop ;
500 perfects

\ program: greatest common divisor
: gcd ( a b -- n ) begin ?dup while tuck mod repeat ;
: lcm ( a b -- n ) 2dup gcd */ ;
48 36 gcd . 48 36 lcm . 1071 462 gcd . 17 5 lcm .

\ program: primes by trial division
: prime? ( n -- flag )
  dup 2 < if drop false exit then
  dup 4 < if drop true exit then
  dup 1 and 0= if drop false exit then
  3 begin 2dup dup * >= while
    2dup mod 0= if 2drop false exit then
    2 +
  repeat 2drop true ;
: primes ( n -- ) 0 ?do i prime? if i . then loop ;
60 primes

\ program: factors
: factors ( n -- )
  2 begin over 1 > while
    2dup mod 0= if dup . tuck / swap else 1+ then
  repeat 2drop ;
360 factors cr 97 factors cr 1001 factors cr

\ program: reversed number and palindromes
: reversed ( n -- n ) 0 swap begin dup while 10 /mod >r swap 10 * + r> repeat drop ;
: palindrome? ( n -- flag ) dup reversed = ;
12345 reversed .
: largest ( -- n ) 0 100 90 do 100 90 do i j * dup palindrome? if max else drop then loop loop ;
largest .

\ program: square root by Newton
: isqrt ( n -- n ) dup 2 < if exit then
  dup 2/ begin 2dup / over + 2/ 2dup > while nip repeat drop nip ;
0 isqrt . 1 isqrt . 15 isqrt . 16 isqrt . 1000000 isqrt . 2147395600 isqrt .

\ program: digital root and check digit
: digit-sum ( n -- n ) 0 swap begin dup while 10 /mod >r + r> repeat drop ;
: root ( n -- n ) begin dup 9 > while digit-sum repeat ;
987654321 root . 38 root . 0 root .
: luhn ( n -- flag )
  0 0 rot begin dup while
    10 /mod >r over if 2* dup 9 > if 9 - then then rot + swap 0= r>
  repeat 2drop 10 mod 0= ;
79927398713 luhn . 79927398714 luhn .

\ program: dice that are not random
variable seed
: rnd ( -- n ) seed @ 1103515245 * 12345 + 2147483647 and dup seed ! ;
: die ( -- n ) rnd 65536 / 6 mod 1+ ;
: throws ( n -- ) 0 ?do die 0 .r space loop cr ;
7 seed ! 10 throws
: twelve ( -- n ) 0 begin 1+ die die + 12 = until ;
7 seed ! twelve .
