/** Base form, past, and participle if different: irregular verbs used in questions. */
const IRREGULAR = `
arise arose arisen|awake awoke awoken|bear bore borne|beat beat beaten|bend bent bent|bind bound bound|bleed bled bled|breed bred bred|burst burst burst|
cast cast cast|cling clung clung|creep crept crept|forbid forbade forbidden|forgive forgave forgiven|grind ground ground|kneel knelt knelt|
mistake mistook mistaken|overcome overcame overcome|quit quit quit|seek sought sought|shine shone shone|shrink shrank shrunk|slide slid slid|
spin spun spun|spit spat spat|split split split|spread spread spread|spring sprang sprung|sting stung stung|swear swore sworn|
sweep swept swept|swell swelled swollen|swing swung swung|tear tore torn|weave wove woven|weep wept wept|wind wound wound|
withdraw withdrew withdrawn|
be was been|become became become|begin began begun|bite bit bitten|blow blew blown|break broke broken|bring brought brought|
build built built|buy bought bought|catch caught caught|choose chose chosen|come came come|cost cost cost|cut cut cut|
deal dealt dealt|dig dug dug|draw drew drawn|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed fed|
feel felt felt|fight fought fought|find found found|fly flew flown|forget forgot forgotten|freeze froze frozen|get got gotten|
give gave given|go went gone|grow grew grown|hang hung hung|hear heard heard|hide hid hidden|hit hit hit|hold held held|
hurt hurt hurt|keep kept kept|know knew known|lead led led|leave left left|lend lent lent|let let let|lie lay lain|lose lost lost|
make made made|mean meant meant|meet met met|pay paid paid|put put put|read read read|ride rode ridden|ring rang rung|rise rose risen|
run ran run|say said said|see saw seen|sell sold sold|send sent sent|set set set|shake shook shaken|shoot shot shot|show showed shown|
shut shut shut|sing sang sung|sink sank sunk|sit sat sat|sleep slept slept|speak spoke spoken|spend spent spent|stand stood stood|
steal stole stolen|stick stuck stuck|strike struck struck|swim swam swum|take took taken|teach taught taught|tell told told|
think thought thought|throw threw thrown|understand understood understood|wake woke woken|wear wore worn|win won won|write wrote written`;

/** Verbs whose past is written as their base: `tell me what they put`, `who's hit it`. */
export const SAME_AS_PAST = new Set(
  `beat bet bid broadcast burst bust cast cost cut fit forecast hit hurt input knit let output put quit read rid run set shed shut spit split
   spread sweat thrust upset wed wet`.split(/\s+/),
);

const PAST = new Map<string, string>();
for (const row of IRREGULAR.split('|')) {
  const [base = '', past = '', participle = ''] = row.trim().split(/\s+/);
  if (past !== base) PAST.set(past, base);
  if (participle !== base) PAST.set(participle, base);
}

const IRREGULAR_PLURALS: Readonly<Record<string, string>> = {
  children: 'child',
  feet: 'foot',
  geese: 'goose',
  knives: 'knife',
  leaves: 'leaf',
  lives: 'life',
  men: 'man',
  mice: 'mouse',
  oxen: 'ox',
  teeth: 'tooth',
  wives: 'wife',
  wolves: 'wolf',
  women: 'woman',
};

/** Words ending in `-s` that are not the plural of the word without it. */
const NOT_PLURALS = new Set(
  `aids arms bras brains customs gas glasses goods ins jeans lens mars means news pants physics process savings scissors series
   shorts species spirits stairs states texas thanks thus always mathematics maths politics yes his hers its this was has does
   christmas paris athens wales netherlands philippines alps andes olympics`.split(/\s+/),
);

/** The singular of a plural, the base of a verb's third person; else the word itself. Certain cases only. */
export function singularOf(word: string): string {
  const irregular = IRREGULAR_PLURALS[word];
  if (irregular !== undefined && Object.hasOwn(IRREGULAR_PLURALS, word)) return irregular;
  if (word.length < 4 || !word.endsWith('s') || NOT_PLURALS.has(word) || /(?:ss|us|is)$/.test(word)) return word;
  if (/(?:[^aeiou]ies)$/.test(word) && word.length > 4) return `${word.slice(0, -3)}y`;
  if (/(?:ss|x|z|ch|sh|o)es$/.test(word) && word.length > 5) return word.slice(0, -2);
  return word.slice(0, -1);
}

/** The verbs that a past form may belong to: `hoped` of hope (or hop), `wrote` of write. Empty for other words. */
export function basesOfPast(word: string): readonly string[] {
  const irregular = PAST.get(word);
  if (irregular !== undefined) return [irregular];
  if (word.length < 5 || !word.endsWith('ed') || word.endsWith('eed')) return [];
  const stem = word.slice(0, -2);
  if (!/[aeiouy]/.test(stem)) return [];
  if (stem.endsWith('i')) return [`${stem.slice(0, -1)}y`];
  return /([^aeiouls])\1$/.test(stem) ? [stem.slice(0, -1), stem] : [stem, `${stem}e`];
}
