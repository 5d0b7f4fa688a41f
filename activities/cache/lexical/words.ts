/** Words with a special role in the guards. English only. A word that is not listed is content and must match. */

const set = (words: string): ReadonlySet<string> => new Set(words.trim().split(/\s+/));

export const NEGATIONS = set(
  'not no never none nobody nothing nowhere neither nor without hardly barely scarcely rarely seldom except unless instead',
);
/** If one of these is in only one of the texts, or in another position, the texts ask about different times. */
export const TIME_WORDS = set(
  `today tomorrow yesterday tonight now currently recently soon later earlier before after since until during ago
   next last previous past future morning afternoon evening night noon midnight am pm
   monday tuesday wednesday thursday friday saturday sunday
   january february march april may june july august september october november december
   spring summer autumn fall winter daily weekly monthly yearly annual`,
);
export const UNITS = set(
  `kg kilogram g gram mg milligram lb pound oz ounce ton tonne km kilometre m metre cm centimetre mm millimetre mi mile ft foot inch yard
   l litre ml millilitre gallon pint quart cup tablespoon teaspoon h hour min minute s second ms day week month year decade century
   percent degree celsius fahrenheit kelvin dollar euro pound yen rupee yuan franc peso cent mph kmh gb mb tb watt kw volt calorie`,
);
export const PRONOUNS = set(
  'i me my mine you your yours he him his she her hers it its we us our ours they them their theirs this these those one',
);

/** Common in English and not in other languages with Latin letters that are likely here. */
export const ENGLISH = set(
  `the what which who whose how when where why does did should could would can will are and of you she they my your it this there
   please with from for than before after without tell set turn`,
);

export const ARTICLES = set('a an the');
export const BE = set('is are am was were be been being');
export const DO = set('do does did');
export const HAVE = set('has have had');
export const MODALS = set('can could may might must should would will shall');
export const WH = set('what which who whom whose when where why how');
/** Words that affect the tone of a question, not its meaning. Dropped everywhere. */
export const SOFT = set('please kindly');
/** Words before the actual question. */
export const GREETINGS = set('hey hi hello ok okay um uh');
/** The same, if a question follows: in `well water` it is no filler. */
export const FILLERS = set('so well and');

/** Openings that request an answer without being part of the question; a longer one comes before its own beginning. */
export const FRAMES: readonly (readonly string[])[] = [
  'do you happen to know',
  'do you know',
  'i would like to know',
  'i want to know',
  'i need to know',
  'i am wondering',
  'i was wondering',
  'i wonder',
  'let me know',
  'can you please',
  'could you please',
  'would you please',
  'can you',
  'could you',
  'would you',
  'will you',
].map((frame) => frame.split(' '));
/** Before these, `can you` and the like are courtesy; before other words they ask about an ability. */
export const IMPERATIVES: readonly (readonly string[])[] = [
  'tell me',
  'tell us',
  'show me',
  'give me',
  'explain to me',
  'explain',
  'define',
  'name',
].map((frame) => frame.split(' '));

/**
 * Groups of words with the same meaning in a question, in base form; each degree of an adjective is a separate group.
 */
const SYNONYMS: ReadonlyMap<string, string> = new Map(
  `big large|bigger larger|biggest largest|little small|smaller littler|smallest littlest|quick fast|quicker faster|quickest fastest
   |begin start commence|buy purchase|fix repair mend|car automobile|film movie|doctor physician|child kid|picture photo photograph
   |cellphone smartphone|tv television telly|airplane aeroplane plane|bike bicycle|holiday vacation|journey trip|symptom sign
   |medicine medication|illness disease sickness|shop store|job occupation|wage salary|happen occur|delete erase
   |need require|advantage benefit|disadvantage drawback|reply respond|kilogram kg kilo|milligram mg|lb lbs
   |ounce oz|kilometre kilometer km|metre meter|centimetre centimeter cm|millimetre millimeter mm|mile mi|litre liter
   |millilitre milliliter ml|hour hr hrs|minute mins|celsius centigrade|colour color|centre center|theatre theater|favourite favorite
   |usa america|uk britain|switch turn|mum mom mother|dad father|grandma grandmother|grandpa grandfather|photosynthesise photosynthesize
   |aluminium aluminum|grey gray|autumn fall|underground subway metro|petrol gasoline|biscuit cookie|error mistake
   |maximum max|assist help|kind type sort|telephone phone`
    .split('|')
    .flatMap((group) => {
      const words = group.trim().split(/\s+/);
      return words.map((word) => [word, words[0] as string] as const);
    }),
);
/** The first word of a base form's group. */
export const groupOf = (base: string): string => SYNONYMS.get(base) ?? base;

interface Alias {
  readonly from: readonly string[];
  readonly to: readonly string[];
}

function byFirstWord(rows: readonly (readonly [from: string, to: string])[]): Map<string, Alias[]> {
  const found = new Map<string, Alias[]>();
  for (const [from, to] of rows) {
    const alias = { from: from.split(' '), to: to.split(' ') };
    const first = alias.from[0] as string;
    found.set(first, [...(found.get(first) ?? []), alias]);
  }
  return found;
}

/** Names of several words; applied first, so that both texts are compared in the shorter form. */
export const ALIASES: ReadonlyMap<string, readonly Alias[]> = byFirstWord([
  ['the united states of america', 'usa'],
  ['united states of america', 'usa'],
  ['the united states', 'usa'],
  ['united states', 'usa'],
  ['the united kingdom', 'uk'],
  ['united kingdom', 'uk'],
  ['the us', 'usa'],
  ['the usa', 'usa'],
  ['the uk', 'uk'],
  ['mobile phone', 'cellphone'],
  ['cell phone', 'cellphone'],
  ['a few', 'several'],
  ['a little', 'somewhat'],
  ['on earth', 'in world'],
  ['on the planet', 'in world'],
  ['take place', 'happen'],
  ['at the moment', 'now'],
  ['right now', 'now'],
  ['capital city', 'capital'],
  ['how come', 'why'],
  ['ought to', 'should'],
  ['is it possible to', 'can i'],
  ['how much time', 'how long'],
  ['how many people live in', 'what is population of'],
  ['how many people are there in', 'what is population of'],
  ['what kind of', 'what'],
  ['what type of', 'what'],
  ['what sort of', 'what'],
  ['by whom', 'by who'],
]);

/** `a day`, `each day` and `per day` are equal. */
export const PER_UNITS = set('second minute hour day night week month year person');

/** Verbs whose particle may follow their object: `turn the lights on`. */
export const PHRASAL = set('turn switch shut put plug log sign back throw wake fill power set pick take');
export const PARTICLES = set('on off up down out away back');

/** The noun with the same meaning as `how <adjective>`. */
export const MEASURES: Readonly<Record<string, string>> = {
  tall: 'height',
  high: 'height',
  old: 'age',
  far: 'distance',
  deep: 'depth',
  heavy: 'weight',
  fast: 'speed',
  big: 'size',
  large: 'size',
  wide: 'width',
};
export const MEASURE_NOUNS: ReadonlySet<string> = new Set([...Object.values(MEASURES), 'price', 'cost']);

/** `who <verb>ed X` asks for the same person as `who is the <noun> of X`. */
export const MAKERS: Readonly<Record<string, string>> = {
  write: 'author',
  invent: 'inventor',
  discover: 'discoverer',
  found: 'founder',
  paint: 'painter',
  compose: 'composer',
  design: 'designer',
};

/** `which <noun> is the <head>`: the noun adds nothing to the head. */
export const IMPLIED_NOUNS: Readonly<Record<string, string>> = { city: 'capital', person: 'author' };

export const PREPOSITIONS = set(
  `of in at on by for from to with into onto about against between through over under above below behind beside near
   across along around within per via than as like`,
);

/** Words that end a noun phrase, read from left to right. */
export const PHRASE_ENDS: ReadonlySet<string> = new Set(
  [ARTICLES, BE, DO, HAVE, MODALS, WH, PREPOSITIONS, PRONOUNS, NEGATIONS].flatMap((words) => [...words]),
);
