import type { Json } from '../json.js';
import { bytesOf } from '../json-limits.js';
import { wellFormed } from '../well-formed.js';
import type { Wait } from './waits.js';

/** What waits can do without, in the order in which all of them leave it out. What a decision needs stays: the nonce, the path and the digest of a call. */
const SPARE: readonly ((wait: Wait) => Wait)[] = [
  (wait) => withTexts(wait, 2_000),
  withoutArguments,
  (wait) => withTexts(wait, 200),
  withoutForm,
];

/** The wait in no more bytes than this, as far as it can do without anything. */
export const fittingWait = (wait: Wait, most: number): Wait => shortened([wait], most)[0] ?? wait;

/** The waits in no more bytes than this: each without what it can do without, and where that is not enough the first ones. */
export function fittingWaits(waits: readonly Wait[], most: number): readonly Wait[] {
  const fitting = shortened(waits, most);
  if (sizeOf(fitting) <= most) return fitting;
  let bytes = 2;
  return fitting.filter((wait) => {
    bytes += sizeOf(wait) + 1;
    return bytes <= most;
  });
}

function shortened(waits: readonly Wait[], most: number): readonly Wait[] {
  let fitting = waits;
  for (const spare of SPARE) {
    if (sizeOf(fitting) <= most) break;
    fitting = fitting.map(spare);
  }
  return fitting;
}

function withoutArguments(wait: Wait): Wait {
  if (wait.call?.arguments === undefined) return wait;
  const { arguments: _, ...call } = wait.call;
  return { ...wait, call, shortened: true };
}

/** The question stays, so that nobody takes it for an approval: one without fields and address is one whose fields are left out. */
function withoutForm(wait: Wait): Wait {
  if (wait.question?.schema === undefined) return wait;
  const { schema: _, ...question } = wait.question;
  return { ...wait, question, shortened: true };
}

/** @param longest subject and question, in UTF-16 units */
function withTexts(wait: Wait, longest: number): Wait {
  const { subject, question } = wait;
  if (subject.length <= longest && (question === undefined || question.message.length <= longest)) return wait;
  const cut = (text: string) => (text.length <= longest ? text : `${wellFormed(text.slice(0, longest - 1))}…`);
  return {
    ...wait,
    subject: cut(subject),
    ...(question && { question: { ...question, message: cut(question.message) } }),
    shortened: true,
  };
}

const sizeOf = (value: Wait | readonly Wait[]): number => bytesOf(value as unknown as Json);
