( T{ ... -> ... }T for gforth, in the manner of the tester of Forth 2012. )
variable start-depth   variable actual-depth   variable tests   variable failures
variable v1   variable v2
create results 256 cells allot

: T{ ( - ) depth start-depth ! ;
: -> ( ... - ) depth start-depth @ - dup actual-depth ! 0 ?do results i cells + ! loop ;
: failed ( - ) 1 failures +! ." test " tests @ . ." fails" cr ;
: forget-results ( ... - ) begin depth start-depth @ > while drop repeat ;
: }T ( ... - )
  1 tests +!
  depth start-depth @ - actual-depth @ = if
    0 actual-depth @ 0 ?do swap results i cells + @ <> or loop
  else -1 then
  if failed then forget-results ;
: summary ( - ) tests @ . ." tests " failures @ . ." failures" cr ;
