import { holds } from '../host.js';
import type { At } from '../state.js';
import { recalled, sentencesIn } from './aside.js';
import { hasAside, readSummary, summaryText } from './notes.js';
import type { Progress } from './progress.js';

/**
 * The summary as the model is sent it: of what is set aside only what the prompt asks about. That stands at its end, also where a note has it:
 * small models pass over what is in the middle of a long list.
 * @param before the session's summary, which the progress replaces once it has one
 */
export function sentSummary(
  { host }: Pick<At, 'host'>,
  progress: Progress,
  before: string | undefined,
): string | undefined {
  const summary = progress.summary ?? before;
  if (summary === undefined || !hasAside(summary) || !holds(host, 'notes-set-aside')) return summary;
  const { text, notes, aside } = readSummary(summary);
  const prompt = progress.messages[progress.given - 1]?.content ?? '';
  return summaryText({ text, notes: [...notes, ...recalled([...aside, ...sentencesIn(notes)], prompt)], aside: [] });
}
