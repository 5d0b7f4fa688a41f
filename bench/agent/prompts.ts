/** One question, and the call that answers it. */
export interface Prompt {
  readonly question: string;
  readonly tool: 'get_weather' | 'calculate' | 'set_timer';
  readonly arguments: Readonly<Record<string, string | number>>;
}

const CITIES = [
  'Paris',
  'Tokyo',
  'Berlin',
  'Madrid',
  'Oslo',
  'Lima',
  'Cairo',
  'Delhi',
  'Rome',
  'Vienna',
  'London',
].concat(['Lagos', 'Seoul', 'Lisbon']);
const SUMS = [
  ['12 * 7', '345 + 678', '1000 - 1', '84 / 4', '23 * 19', '17 + 25', '512 - 256'],
  ['144 / 12', '99 * 101', '250 + 750', '81 - 36', '360 / 8', '31 * 29'],
].flat();
const MINUTES = [5, 10, 3, 20, 15, 7, 45, 30, 12, 25, 8, 60, 90];

const ABOUT_WEATHER = [
  (city: string) => `What is the weather in ${city}?`,
  (city: string) => `How is the weather in ${city} right now?`,
  (city: string) => `Is it raining in ${city}?`,
  (city: string) => `Do I need an umbrella in ${city} today?`,
  (city: string) => `How warm is it in ${city}?`,
];
const ABOUT_SUMS = [
  (sum: string) => `What is ${sum}?`,
  (sum: string) => `Calculate ${sum}.`,
  (sum: string) => `How much is ${sum}?`,
  (sum: string) => `Please work out ${sum}.`,
];
const ABOUT_TIME = [
  (minutes: number) => `Set a timer for ${minutes} minutes.`,
  (minutes: number) => `Start a timer of ${minutes} minutes.`,
  (minutes: number) => `Remind me in ${minutes} minutes.`,
  (minutes: number) => `Wake me in ${minutes} minutes.`,
];

const inTurn = <T>(wordings: readonly ((of: T) => string)[], of: T, i: number): string =>
  (wordings[i % wordings.length] as (of: T) => string)(of);

/** 40 questions over three tools. */
export const PROMPTS: readonly Prompt[] = [
  ...CITIES.map(
    (city, i): Prompt => ({
      question: inTurn(ABOUT_WEATHER, city, i),
      tool: 'get_weather',
      arguments: { city },
    }),
  ),
  ...SUMS.map(
    (expression, i): Prompt => ({
      question: inTurn(ABOUT_SUMS, expression, i),
      tool: 'calculate',
      arguments: { expression },
    }),
  ),
  ...MINUTES.map(
    (minutes, i): Prompt => ({
      question: inTurn(ABOUT_TIME, minutes, i),
      tool: 'set_timer',
      arguments: { minutes },
    }),
  ),
];
