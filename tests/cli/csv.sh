# CSV by RFC 4180: quotes, line ends inside fields, numbers, empty cells.
. "$HERE/lib.sh"
printf 'id,text,lemma,n,zip,ratio,note\r\n1,"a ""bird"", of prey",hawk,12,01234,1.50,\r\n2,"two\nlines",sea,"13",7,1e3,""\r\n\r\n3,plain "quotes" inside,x,-0,+1,1.,99999999999999999999\r\n' > a.csv
try hither import a.hither c a.csv
try hither scan a.hither c --json
# no id column: row numbers; the last line may lack its end
printf 'gloss,pos\nfirst,n\nsecond,v' | try hither import a.hither rows - --format csv --text gloss
try hither scan a.hither rows --json
# vectors
printf 'id,vector,tag\na,"[1, 0]",x\nb,"[0,1]",y\n' | try hither import a.hither v - -f csv --metric dot
try hither search a.hither v --id a
try hither scan a.hither v --vectors
# a column of a collection with string ids; numbers stay text
printf 'id,text\n5,five\n' | try hither import a.hither v - -f csv
printf 'id,text\nx,letters\n5,five\n' | try hither import a.hither t - -f csv
try hither get a.hither t 5 --json
