\ What the programs use and gforth 0.7 has not: buffers by index, and the locals of Forth 2012.
[undefined] buffer: [if] : buffer: create allot ; [then]
: cell@ ( i addr -- n ) swap cells + @ ;
: cell! ( n i addr -- ) swap cells + ! ;
: b@ ( i addr -- n ) + c@ ;
: b! ( n i addr -- ) + c! ;
[undefined] {: [if]
  also locals-types definitions
  : :} } ;
  previous definitions
  : {: postpone { ; immediate
[then]
