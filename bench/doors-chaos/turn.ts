/** What every client asks of the agent: three tools in turn, then an answer in several pieces. */

/** The tools in their order, and how long the side effect of each takes, in milliseconds. */
export const TOOLS = { book: 400, charge: 700, notify: 300 } as const;

/** How long each call of the model takes, in milliseconds. */
export const MODEL_MS = 250;

/** What happens in a turn, in its order: each reads what is before it. */
export const STEPS = ['turn-1', 'book', 'turn-2', 'charge', 'turn-3', 'notify', 'turn-4'] as const;

/** How long a step takes, in milliseconds. */
export const lengthOf = (step: (typeof STEPS)[number]): number =>
  Object.hasOwn(TOOLS, step) ? TOOLS[step as keyof typeof TOOLS] : MODEL_MS;

export const orderOf = (number: number): string => `order ${String(number).padStart(5, '0')}`;

/** The number in a text that names an order. */
export function numberIn(text: string): number {
  const [, digits] = /order (\d{5})/.exec(text) ?? [];
  if (digits === undefined) throw new Error(`no order is named in ${JSON.stringify(text.slice(0, 200))}`);
  return Number(digits);
}

export const messageOf = (number: number): string => `Please see to ${orderOf(number)}.`;

/** The pieces of the answer. */
export const answerOf = (number: number): readonly string[] => [
  'All of ',
  `${orderOf(number)} `,
  'is booked, ',
  'charged, ',
  'and confirmed.',
];
