/** Words that often say the same in a question. Hints for the verifier, which weighs them; the guard does not merge them. */
export const SYNONYM_GROUPS: readonly string[] = `
get obtain receive acquire
create make build set generate
change modify alter edit update adjust amend switch
remove delete erase rid clear discard
fix repair mend resolve solve
find locate look discover search see
start begin commence launch open
stop end finish quit cease terminate
choose select pick
send mail post ship deliver
check verify confirm test
buy purchase order get
improve enhance better increase boost
increase raise grow
reduce decrease lower cut lessen
submit file hand make lodge
connect link attach hook pair join
contact reach call phone
prepare ready
use operate utilise utilize
book reserve
rent hire lease
cancel stop end
happen occur take
ask request
pay settle spend
cost price fee charge rate
big large huge
small little tiny
quick fast rapid
difficult hard tough
easy simple
important key main major
good great nice
show display view see
store shop
film movie
car automobile vehicle motor
phone mobile cell telephone
picture photo image photograph
job occupation work career
money cash
house home
road street
child kid
doctor physician gp
illness disease sickness
medicine medication drug
symptom sign
holiday vacation
trip journey travel
error mistake
problem issue
reason cause
earn make
learn study
teach train
grow gain
lose drop
keep maintain
need require must
want wish
allow permit let
include contain come cover
have own
live reside
big size
word term
company firm business
employee worker staff
boss manager
email mail
password passcode
website site
internet web online
computer pc
program software app application
bug error
annul cancel
refund money
parcel package
invoice bill
flat apartment
lift elevator
trainer sneaker
rubbish garbage trash waste
petrol gas gasoline
autumn fall
begin start
become turn
near close nearby nearest closest
rule regulation law
legal lawful allowed
illegal unlawful
dangerous harmful unsafe
safe secure
danger risk
benefit advantage
drawback disadvantage
difference distinction
example instance
idea suggestion tip
suggest recommend advise
help assist aid
give provide offer
say state
think believe opinion
like enjoy love
famous popular known
rich wealthy
sad unhappy
happy glad
angry mad
beautiful pretty
clever smart intelligent
strange odd weird
scared afraid
tired exhausted
hungry starving
old elderly
young youthful
overdue late
fine penalty
opening open
leave vacate depart
end close
move relocate transfer
join enter
sharp sharpen
dry drying
eat food diet feed meal
drink beverage
cook prepare
bake make
clean wash
sick ill
gift present
wedding marriage
purpose use aim goal
meaning sense
place spot location site
country nation
town city
world earth globe
war conflict
president leader head
write compose
author writer
invent discover
begin origin
stain spot
replace change swap substitute exchange
throw dispose discard
fast quick
extend renew prolong
record recording
play game
exercise workout training
weight fat
skin complexion
loss losing
gain put
effect impact influence affect
result outcome consequence
possible can
beginner novice start
permit licence license
noise noisy grain grainy
fog foggy
guest visitor
member membership
charge charging
`
  .trim()
  .split('\n');

/** Two forms of one word, or one mistyped: a common beginning, or one change of a letter in a long word. */
export function soundAlike(a: string, b: string): boolean {
  const shorter = Math.min(a.length, b.length);
  if (shorter >= 5 && a.slice(0, shorter - 1) === b.slice(0, shorter - 1) && Math.abs(a.length - b.length) <= 4)
    return true;
  return shorter >= 6 && distanceIsOne(a, b);
}

function distanceIsOne(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let i = 0;
  while (i < a.length && a[i] === b[i]) i += 1;
  const rest = (x: string, n: number) => x.slice(i + n);
  const swapped = a[i] === b[i + 1] && a[i + 1] === b[i] && rest(a, 2) === rest(b, 2);
  return swapped || rest(a, 1) === rest(b, 1) || rest(a, 1) === rest(b, 0) || rest(a, 0) === rest(b, 1);
}
