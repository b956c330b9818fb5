table constant t
: key ( i - a u ) s>d <# #s [char] k hold #> ;
: put ( n a u - ) get-current >r t set-current nextname create , r> set-current ;
: bench ( - n )
  20000 0 do i i key put loop
  0 5 0 do
    20000 0 do i key t search-wordlist drop execute dup @ 1+ dup rot ! + loop
  loop ;
