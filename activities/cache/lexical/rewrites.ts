/** What a place has may be elsewhere: `the embassies of a country`, `the ships of a port`. */
export const PLACES =
  'place country nation state province county city town village port harbour airport school university college hospital company firm bank church club hotel island region';

/** Parts of what has them, and so in it. */
export const THINGS =
  'legs wings eyes ears arms hands feet toes fingers teeth bones ribs vertebrae muscles hearts stomachs lungs kidneys chromosomes tentacles fins horns hooves limbs joints strings keys pedals sides edges faces vertices corners angles players cards pieces squares pages chapters carbs carbohydrates sugars nutrients atoms electrons protons neutrons wheels doors windows cylinders gears seats floors rooms holes sections acts scenes';

/** What is in all that has it: `the embassies of a country` are elsewhere. */
const PARTS =
  'states|provinces|counties|regions|cantons|districts|cities|lakes|volcanoes|bones|teeth|muscles|chapters|pages|episodes|seasons|days|weeks|months|hours|minutes|seconds|rooms|floors';
/** What is in a food that has it. */
const NUTRIENTS = 'protein|sugar|fat|fiber|fibre|caffeine|sodium|cholesterol|calcium|potassium';
/** Won by teams alone: of a race or a medal it may be a person. */
const EVENT = 'world|stanley|super|champions|premier cup|bowl|league|series';

/**
 * Ways to put one question, each as a pattern and its usual form. In a pattern `a|b` is either word, `*` the words
 * between its two ends (at least one), `@` one word, `#` a year. A pattern covers the whole text. Applied in this order.
 */
export const REWRITES: readonly (readonly [pattern: string, form: string])[] = [
  ['what city is|was the capital *', 'what is|was the capital *'],
  ['what is the best|right|correct|proper|good way to *', 'how to *'],
  ['what is a good way to *', 'how to *'],
  ['what is the way to *', 'how to *'],
  ['what are the best|right ways to *', 'how to *'],
  ['how is the weather *', 'what is the weather like *'],
  ['how is the weather', 'what is the weather like'],
  ['what is the weather in|at|today|tomorrow|tonight *', 'what is the weather like in|at|today|tomorrow|tonight *'],
  ['how tall is|was *', 'what is|was the height of *'],
  ['how old is|was *', 'what is|was the age of *'],
  ['how big|large is|was *', 'what is|was the size of *'],
  ['how heavy is|was *', 'what is|was the weight of *'],
  ['how deep is|was *', 'what is|was the depth of *'],
  ['how wide is|was *', 'what is|was the width of *'],
  ['how far is it from *', 'what is the distance from *'],
  ['how much does|do|did * cost', 'what does|do|did * cost'],
  ['how much does|will|would|did it cost to *', 'what does|will|would|did it cost to *'],
  ['what does * cost', 'what is the price of *'],
  ['how many people live in *', 'what is the population of *'],
  [`how many ${PARTS} do|does * have`, `how many ${PARTS} are there in *`],
  ['how many @ are in *', 'how many @ are there in *'],
  ['how many @ @ are in *', 'how many @ @ are there in *'],
  ['how many @ is in *', 'how many @ are there in *'],
  ['how many @ is there in *', 'how many @ are there in *'],
  ['how many @ in *', 'how many @ are there in *'],
  [`how much ${NUTRIENTS} does|do * have|contain`, `how much ${NUTRIENTS} is in *`],
  [`how much ${NUTRIENTS} is there in *`, `how much ${NUTRIENTS} is in *`],
  ['who wrote *', 'who is the author of *'],
  ['who invented *', 'who is the inventor of *'],
  ['who painted *', 'who is the painter of *'],
  ['who composed *', 'who is the composer of *'],
  [`what team won the ${EVENT}`, `who won the ${EVENT}`],
  [`what team won the ${EVENT} in #`, `who won the ${EVENT} in #`],
  [`what team won the # ${EVENT}`, `who won the # ${EVENT}`],
  ['where is|are|was|were * located|situated', 'where is|are|was|were *'],
  ['where do i find *', 'where can I find *'],
  ['difference between *', 'what is the difference between *'],
  ['the difference between *', 'what is the difference between *'],
  ['differences between *', 'what are the differences between *'],
  ['at what time *', 'what time *'],
  ['in what year *', 'what year *'],
  ["what is|was * 's date of birth", 'when was * born'],
  ["what is|are|was|were the world 's *", 'what is|are|was|were the * in the world'],
  ['what causes *', 'what is the cause of *'],
  ['how long will|would it take to *', 'how long does it take to *'],
  ['what is a reason why *', 'why *'],
  ['what is the reason why *', 'why *'],
];

/** What may be asked of a country or town by name: `France's capital` is `the capital of France`. */
export const OWNED =
  'capital population currency flag area president king queen mayor language climate history height size age length weight birthday';

/** Names of several words, as the whole of a name. */
export const ALIASES: readonly (readonly [from: string, to: string])[] = [
  ['United States of America', 'USA'],
  ['united states of america', 'usa'],
  ['United States', 'USA'],
  ['united states', 'usa'],
  ['United Kingdom', 'UK'],
  ['united kingdom', 'uk'],
  ['capital city of', 'capital of'],
  ["'s capital city", "'s capital"],
  ['Northern Ireland', 'Northern-Ireland'],
  ['northern ireland', 'northern-ireland'],
  ['NORTHERN IRELAND', 'NORTHERN-IRELAND'],
  ['the US', 'the USA'],
  ['the U.S', 'the USA'],
  ['mobile phone', 'cellphone'],
  ['mobile phones', 'cellphones'],
  ['quickest way', 'fastest way'],
  ['quickest route', 'fastest route'],
  ["i'd like", 'I would like'],
  ["I'd like", 'I would like'],
  ['log into', 'log in to'],
  ['logged into', 'logged in to'],
  ['logging into', 'logging in to'],
  ['sign into', 'sign in to'],
  ['signed into', 'signed in to'],
  ['cell phone', 'cellphone'],
  ['cell phones', 'cellphones'],
];

/** Courtesy before a text, longest first within a row. */
export const GREETINGS: readonly string[] = [
  'good morning|afternoon|evening',
  'hi|hello|hey|hiya there|team|all|everyone|folks|guys',
  'hi|hello|hey|hiya',
  'just a|one quick question',
  'quick question|one',
  'i have a quick question',
  'i have a question',
  'i was just wondering',
  'just wondering',
  'just curious',
  'sorry to bother you',
  'excuse|pardon me',
  'sorry',
  'um|uh|er|erm|umm|hmm|ok|okay|so|yeah|well|and|oh|right|please|kindly|alright',
];

/** Courtesy after a text. */
export const THANKS: readonly string[] = [
  'thanks|thank you so|very much|in advance',
  'thanks|cheers|thx|please|ta',
  'thank you',
  'thanks in advance',
  'thank you in advance',
  'thank you so|very much',
  'many thanks',
  'thanks so|very much',
  'thanks a lot',
];

/** Requests to be told: what follows is the question, in the order of a statement. */
export const FRAMES: readonly string[] = [
  'do you happen to know',
  'do you know',
  'i would like to know',
  "i'd like to know",
  'i want|need to know',
  'i am wondering|curious',
  'i was wondering',
  'i wonder',
  'let me know',
  'please let me|us know',
  'can|could|would|will you let me|us know',
  'can|could|would|will you please|kindly let me|us know',
  'can|could|would|will you please|kindly tell|show me|us',
  'can|could|would|will you tell|show me|us',
  'can|could|would|will you please|kindly explain',
  'can|could|would|will you explain',
  'please tell me|us',
  'tell|show me|us',
  'explain to me',
  'explain',
  'please name',
  'name',
  'any idea',
];
/** `Can you please …` with any verb is `please …`. */
export const REQUESTS: readonly string[] = ['can|could|would|will you please|kindly'];
