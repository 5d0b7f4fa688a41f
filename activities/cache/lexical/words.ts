/** English words with a special role in the guard. A word that is not listed is content and must match. */

const set = (words: string): ReadonlySet<string> => new Set(words.trim().split(/\s+/));

export const ARTICLES = set('a an the');
export const BE = set('is are am was were be been being');
export const DO = set('do does did');
export const HAVE = set('has have had');
export const MODALS = set('can could may might must should would will shall');
export const WH = set('what which who whom whose when where why how');
export const PRONOUNS = set(
  `i me my mine myself you your yours yourself he him his himself she her hers herself it its itself we us our ours
   ourselves they them their theirs themselves this these those that one someone anyone everyone somebody anybody`,
);
export const PREPOSITIONS = set(
  `of in at on by for from to with into onto about against between through over under above below behind beside near
   across along around within per via than as like off up down out inside outside towards upon among`,
);
export const CONJUNCTIONS = set('and or but if whether because so while although though then');
export const QUANTIFIERS = set(
  `all any each every both either much more less fewer only half double least almost nearly exactly first second third
   last next other another same most many few several some just even also enough about`,
);
/** Quantifiers that change what is asked for; the rest often change nothing. */
export const STRICT_QUANTIFIERS = set(
  `all any each every both either most few several less fewer only half double least almost nearly exactly first second third
   last next other another same also even enough`,
);

/** A text that has one of these in other numbers than the text that it is compared with says something else. */
export const NEGATIONS = set(
  `not no never none nobody nothing nowhere neither nor without hardly barely scarcely rarely seldom except unless
   instead lack lacks lacking fail fails failed refuse avoid stop prevent`,
);

/** If one of these is in only one of the texts, or in another position, the texts ask about different times. */
export const TIME_WORDS = set(
  `today tomorrow yesterday tonight now before after next last since until till during ago always never
   morning afternoon evening night noon midnight am pm
   monday tuesday wednesday thursday friday saturday sunday weekend weekday
   january february march april may june july august september october november december
   spring summer autumn winter hourly daily nightly weekly fortnightly biweekly monthly bimonthly quarterly yearly annual
   annually biannual biennial once twice thrice`,
);

export const UNITS = set(
  `kg kilogram kilograms g gram grams mg milligram milligrams mcg lb lbs pound pounds oz ounce ounces ton tons tonne tonnes
   km kilometre kilometres kilometer kilometers m metre metres meter meters cm mm mi mile miles ft foot feet inch inches
   yard yards l litre litres liter liters ml gallon gallons pint pints quart cup cups tablespoon tablespoons teaspoon
   teaspoons tbsp tsp h hour hours min minute minutes s second seconds ms day days week weeks fortnight month months year
   years decade century percent degree degrees celsius fahrenheit kelvin dollar dollars euro euros pence yen rupee
   rupees yuan franc francs peso pesos cent cents usd eur gbp mph kmh gb mb tb kb gib mib bit bits byte bytes watt watts kw
   kwh volt volts amp amps calorie calories kcal hz khz mhz ghz psi bar acre acres hectare hectares stone stones knot knots
   kph nautical fathom fathoms furlong furlongs carat carats radian radians newton newtons joule joules pascal pascals
   hertz ohm ohms lumen lumens micron microns db dba ma mw nm atm crown crowns krona kronor lakh crore chf`,
);

/** `Kilojoules`, `megabytes`: a unit, or one with a prefix of the SI. */
export const isUnit = (word: string): boolean =>
  UNITS.has(word) ||
  UNITS.has(word.replace(/^(?:nano|micro|milli|centi|deci|hecto|kilo|mega|giga|tera|peta)(?=\p{L}{3})/u, ''));

/** Written after a number without a space: `5km`. The capitals of a unit count: `Mb` is not `MB`. */
export const SHORT_UNITS = set(
  'kg g mg mcg lb lbs oz km m cm mm mi ft in l ml h hr hrs min mins s sec ms am pm C F K W kW kWh V A GB MB TB KB Gb Mb kb mph',
);

/** In these a word refers to itself, or letters count: `how do you spell colour`. The texts must be equal. */
export const MENTIONS = set(
  `spell spells spelled spelt spelling word words letter letters mean means meaning meant define defines definition translate
   translates translation pronounce pronounced pronunciation synonym synonyms antonym antonyms plural singular rhyme rhymes
   syllable syllables vowel vowels consonant abbreviation acronym character characters string substring regex regexp
   alphabet anagram palindrome uppercase lowercase capitalise capitalize punctuation grammar verb noun adjective adverb sentence
   phrase idiom etymology hyphen apostrophe comma emoji symbol unicode ascii german french spanish italian latin
   translated say says typed print prints keyword variable identifier filename regexp
`,
);

/** In a text with one of these a spelling may be what is asked for: `is adress correct`, `is colour British`. Spellings are then not the same. */
export const ORTHOGRAPHY = set(
  `correct correctly incorrect right wrong write writes writing written type typing typo typos misspelled misspelt mistake mistakes
   proofread autocorrect dictionary edit british american uk usa britain america commonwealth`,
);

/** Words that open an English question or command: a capital at the start of a sentence says nothing about them. */
export const IMPERATIVES = set(
  `tell set turn show give name list explain describe find compare convert calculate play wake remind open close
   cancel book order send call switch start stop create make add remove delete help let please add check buy sell get
   write recommend suggest summarise summarize calculate`,
);

/** Words of the language that have little meaning of their own; used to recognise English as well. */
export const FUNCTION_WORDS: ReadonlySet<string> = new Set(
  [ARTICLES, BE, DO, HAVE, MODALS, WH, PRONOUNS, PREPOSITIONS, CONJUNCTIONS, QUANTIFIERS, NEGATIONS].flatMap(
    (words) => [...words],
  ),
);
export const STARTERS: ReadonlySet<string> = new Set([
  ...[...FUNCTION_WORDS].filter((word) => word !== 'may' && word !== 'us'),
  ...IMPERATIVES,
  'there',
  'here',
  'hi',
  'hello',
  'hey',
]);

/** Frequent in English and unusual in other languages with Latin letters. */
export const ENGLISH = set(
  `the what which who whose how when where why does did should could would can are and you she they my your it this there
   that have has from with please than because into after before set turn tell many much good best way need want
   about between through without during every write explain describe suggest recommend calculate summarise summarize people`,
);

/** As frequent in English, and words of other languages too. */
export const WEAK_ENGLISH = set('is of to for in me a i an by at be on was do not my or so no am');

/** Frequent in other languages with Latin letters, and no English words. */
export const FOREIGN = set(
  `der das und ist nicht ein eine einen wie warum wann wer mit von auf für ich sie wir ihr zu welche welcher kann
   el los las una uno que qué está están cómo cuándo dónde quién para por su cuál puedo tengo
   le les une et sont qui quoi quand où pourquoi comment avec dans je elle nous vous pas combien
   gli che chi quando dove perché di della nel quanto posso uma é são onde quem não
   het een niet wat hoe waar wie och är att vad hur när jag gdzie kiedy czy nie się jest nasıl nerede`,
);

/** Names that are no common word of English, so that their case says nothing. `Newton`, `Japan` and `Hamlet` are words too. */
export const SAFE_NAMES = set(
  `france germany spain italy india england scotland ireland portugal russia ukraine poland sweden norway finland
   denmark austria switzerland belgium netherlands canada mexico brazil argentina colombia australia egypt
   nigeria kenya israel iran iraq pakistan bangladesh indonesia thailand vietnam korea taiwan singapore malaysia
   philippines europe africa asia america london berlin madrid rome tokyo beijing moscow vienna dublin lisbon
   amsterdam brussels stockholm oslo helsinki copenhagen prague budapest warsaw athens istanbul cairo delhi mumbai
   toronto vancouver sydney melbourne manchester birmingham edinburgh glasgow chicago boston seattle texas
   california florida northern-ireland shakespeare mozart beethoven einstein
   greece greenland iceland romania bulgaria croatia serbia slovakia slovenia hungary lithuania latvia estonia luxembourg albania
   peru bolivia ecuador uruguay paraguay venezuela morocco algeria tunisia ethiopia tanzania uganda ghana zimbabwe zambia
   nepal cambodia mongolia afghanistan syria lebanon yemen qatar kuwait utah ohio oregon arizona nevada michigan minnesota
   osaka kyoto seoul bangkok jakarta nairobi johannesburg munich frankfurt zurich barcelona rotterdam
   english monday tuesday wednesday thursday friday saturday sunday january february april june july september october
   november december christmas iphone ipad fahrenheit celsius google youtube facebook instagram whatsapp gmail netflix linux
   bluetooth photoshop javascript typescript postgres postgresql mysql kubernetes github gitlab linkedin spotify tiktok
   wikipedia powerpoint onedrive icloud macbook playstation xbox nintendo samsung microsoft paypal airbnb ikea chatgpt`,
);

/** Abbreviations whose small letters are no word and no unit (`2 atm`). */
export const SAFE_ACRONYMS = set(
  'uk usa tv pdf nhs gps usb hdmi sql html css vpn faq dvd cpu gpu wifi mri dna rna bbc nba nfl fifa nasa',
);
