: user ( - ud ) cputime 2drop ;
: timed ( - ) user 2>r bench user 2r> d- 1000 um/mod nip s>d <# #s #> type space s>d <# #s #> type cr ;
timed bye
