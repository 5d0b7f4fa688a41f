import type { Token } from '../lexical/tokens.js';

/** What a question asks for, by the forms of questions; the first that fits. */
const FORMS = [
  ['number', /\bhow many\b|\bnumber of\b/],
  ['duration', /\bhow (?:long|much time)\b|\btime does it take\b/],
  ['frequency', /\bhow (?:often|frequently)\b/],
  [
    'degree',
    /\bhow (?:much|expensive|high|tall|big|large|old|far|heavy|fast|deep|wide)\b|\bwhat (?:does|do|did) .* cost$/,
  ],
  [
    'reason',
    /\bwhy\b|\bhow come\b|^what (?:makes|causes?|caused|brings)\b|\b(?:reasons?|causes?) (?:is|are|for|of|that|why|to|was|were)\b|\bwhat (?:reasons?|factors)\b|\bthe reason\b/,
  ],
  ['time', /\bwhen\b|\b(?:what|which|best|good) (?:time|date|day|season|hour|month)\b/],
  ['place', /\bwhere\b|\b(?:what|which|best|good) (?:places?|location|shops?|stores?|website)\b|\bthe location of\b/],
  ['person', /\b(?:who|whom|whose)\b/],
  [
    'way',
    /^how\b|\b(?:way|ways|steps|process|procedure|method|methods|trick|secret|key) (?:to|of|for|is|do)\b|^what (?:do|should|can|could|must) (?:i|you|we|one) do\b|^what helps?\b/,
  ],
  ['whether', /^(?:is|are|am|was|were|do|does|did|can|could|may|might|must|should|would|will|has|have|had)\b/],
  ['thing', /\b(?:what|which)\b/],
] as const;

type Asked = (typeof FORMS)[number][0] | 'other';

/** These are asked for in forms that have few other uses. */
const CLEAR: ReadonlySet<Asked> = new Set([
  'number',
  'duration',
  'frequency',
  'degree',
  'reason',
  'time',
  'place',
  'person',
]);

const askedIn = (tokens: readonly Token[]): Asked => {
  const text = tokens.map(({ word }) => word).join(' ');
  return FORMS.find(([, form]) => form.test(text))?.[0] ?? 'other';
};

/** 0: two texts ask for one kind of answer. 1: their forms differ. 2: and at least one of the forms is clear. */
export function askedApart(a: readonly Token[], b: readonly Token[]): 0 | 1 | 2 {
  const [mine, other] = [askedIn(a), askedIn(b)];
  if (mine === other) return 0;
  return CLEAR.has(mine) || CLEAR.has(other) ? 2 : 1;
}
