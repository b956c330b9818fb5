\ s+ allocates its result; the old string is freed, as a collector would
: str+ ( a1 u1 a2 u2 - a3 u3 ) 2over drop >r s+ r> free drop ;
: bench ( - n )
  0 100 0 do
    1 allocate drop 0
    2000 0 do i s>d <# #s #> str+ s" ," str+ loop
    swap free drop +
  loop ;
