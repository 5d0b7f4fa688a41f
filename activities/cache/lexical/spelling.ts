/** Written in two ways, or two words for one thing that have no second meaning apart. The last of a row is the usual one. */
const LISTED: ReadonlyMap<string, string> = new Map(
  `grey gray|aluminium aluminum|mum mom|catalogue catalog|defence defense|licence license|aeroplane airplane|aeroplanes airplanes|tv television
   |tvs televisions|petrol gasoline|photo photograph|photos photographs|telephone phone|instalment installment|instalments installments
   |jewellery jewelry|pyjamas pajamas|okay ok|enrol enroll|fulfil fulfill|doughnut donut|yoghurt yogurt
   |moustache mustache|adress address|acount account|recieve receive|seperate separate|definately definitely|occured occurred|untill until
   |tommorow tomorrow|tommorrow tomorrow|wich which|teh the|becuase because|beleive believe|enviroment environment|goverment government
   |neccessary necessary|diffrence difference|diference difference|statment statement|vegitarian vegetarian|conection connection|bagage baggage
   |allowence allowance|emergancy emergency|acess access|restaraunt restaurant|restarant restaurant|resturant restaurant
   |appointement appointment|apointment appointment|reciept receipt|recipt receipt|refrigirator refrigerator|temprature temperature
   |libary library|febuary february|wensday wednesday|grammer grammar|knowlege knowledge|langauge language|maintainance maintenance
   |occassion occasion|priviledge privilege|publically publicly|succesful successful|suprise surprise|tomatos tomatoes|truely truly|wierd weird
   |writting writing|pasword password|passwrod password|paymnet payment|delviery delivery|delivry delivery|subscribtion subscription
   |subcription subscription|cancle cancel|shiping shipping|custmer customer|refud refund|transfered transferred|availible available
   |availble available|accomodation accommodation|adresses addresses|buisness business|begining beginning|commited committed
   |existance existence|foriegn foreign|freind friend|garantee guarantee|guage gauge|immediatly immediately|independant independent
   |medecine medicine|millenium millennium|noticable noticeable|parralel parallel|posession possession|prefered preferred
   |questionaire questionnaire|reccomend recommend|recomend recommend|reccommend recommend|rythm rhythm|scedule schedule|shedule schedule
   |tounge tongue|vaccum vacuum|vehical vehicle|whereever wherever|yeild yield|e-mail email|e-mails emails|wi-fi wifi|log-in login
   |check-in checkin|check-out checkout|web-site website|web-sites websites|on-line online|artefact artifact|artefacts artifacts|ageing aging
   |analogue analog|cosy cozy|judgement judgment|maths math|mould mold|mouldy moldy|offence offense|offences offenses|plough plow
   |pretence pretense|sceptical skeptical|skilful skillful|smoulder smolder|wilful willful|woollen woolen|manoeuvre maneuver|centred centered
   |defences defenses|licences licenses`
    .split('|')
    .flatMap((row) => {
      const words = row.trim().split(' ');
      const usual = words.at(-1) as string;
      return words.map((word) => [word, usual] as const);
    }),
);

/**
 * British spellings and their American forms. Each pair differs in these letters alone, and no two words of English with
 * different meanings do: `metre` (a unit) and `meter` (a device) are apart, as are `analyses` (of analysis), `rigour` and `rigor`, `savoury` and `savory`.
 */
const BRITISH: readonly (readonly [RegExp, string])[] = [
  [/^(?!appris|helois)(.{4,})is(e|es|ed|er|ers|ing|ation|ations)$/, '$1iz$2'],
  [/^(.{2,}l)ys(e|ed|er|ers|ing)$/, '$1yz$2'],
  [
    /^((?:dis|mis|un|water|multi)?(?:arm|behavi|cand|clam|col|demean|endeav|fav|flav|glam|harb|hon|hum|lab|neighb|od|parl|ranc|rum|savi|splend|tum|val|vap|vig))our(s?|ed|ing|ful|fully|able|ably|ite|ites|hood|hoods|less|er|ers|al|ally|ist)$/,
    '$1or$2',
  ],
  [
    /^((?:amphi|epi)?(?:cent|theat)|fib|(?:milli)?lit|(?:kilo|centi|milli|nano)met|calib|goit|lust|meag|sab|somb|spect)re(s?)$/,
    '$1er$2',
  ],
  [
    /^(travel|cancel|label|model|fuel|counsel|signal|dial|level|channel|tunnel|quarrel|marvel|unravel|shovel)l(ed|ing|er|ers|or|ors|ous)$/,
    '$1$2',
  ],
  [/^haem(?=[ao])/, 'hem'],
  [/aemi(a|as|c|cs)$/, 'emi$1'],
  [/anaesth/, 'anesth'],
  [/paedi/, 'pedi'],
  [/rrhoea(s?)$/, 'rrhea$1'],
  [/^oest(?=ro)/, 'est'],
  [/^foet(?=us|al)/, 'fet'],
  [/^gynaec/, 'gynec'],
  [/^oesoph/, 'esoph'],
  [/^coeliac/, 'celiac'],
  [/^caesarean/, 'cesarean'],
  [/^palaeo/, 'paleo'],
  [/^archae/, 'arche'],
  [/^sulph/, 'sulf'],
];

/** Spellings of the latest words. */
const known = new Map<string, string>();
const MOST = 4_096;

/** The usual spelling of a word in small letters. */
export function spelt(word: string): string {
  const before = known.get(word);
  if (before !== undefined) return before;
  const found = LISTED.get(word) ?? american(word);
  if (known.size >= MOST) known.clear();
  known.set(word, found);
  return found;
}

const american = (word: string): string =>
  word.length > 40 ? word : BRITISH.reduce((form, [british, usual]) => form.replace(british, usual), word);

/** A verb that differs in its ending alone: `Summarise` and `Summarize` at the start of a sentence are no names. */
export const isVerbInIse = (word: string): boolean => /(?:iz|yz)e$/.test(spelt(word));
