/** A part of a text with its times, in seconds from the start of the audio. */
export type TimedText = {
  readonly start: number;
  readonly end: number;
  readonly text: string;
};

/** A segment of a transcript, as `transcribe` returns it. */
export type Segment = TimedText & {
  readonly speaker?: string;
  readonly words?: readonly TimedText[];
};

/** A list of times with texts, whose text has this name; undefined for anything else. */
export function timedTexts(list: unknown, name: 'text' | 'word'): TimedText[] | undefined {
  if (!Array.isArray(list)) return undefined;
  const spans = list.map((each: unknown) => {
    const { start, end, [name]: text } = Object(each) as Record<string, unknown>;
    return { start, end, text };
  });
  const fit = spans.every(
    ({ start, end, text }) => Number.isFinite(start) && Number.isFinite(end) && typeof text === 'string',
  );
  return fit ? (spans as TimedText[]).map((each) => ({ ...each, text: each.text.trim() })) : undefined;
}

/** Segments in the form of `transcribe`'s own output; undefined for anything else. */
export function segmentsOf(list: unknown): Segment[] | undefined {
  const all = timedTexts(list, 'text');
  if (!all) return undefined;
  const found = all.map((segment, i): Segment | undefined => {
    const { speaker, words } = Object((list as readonly unknown[])[i]) as Record<string, unknown>;
    const spoken = words === undefined ? undefined : timedTexts(words, 'text');
    if (words !== undefined && !spoken) return undefined;
    return { ...segment, ...(typeof speaker === 'string' && { speaker }), ...(spoken && { words: spoken }) };
  });
  return found.every((each) => each !== undefined) ? found : undefined;
}

/** A segment of a part that begins so many seconds after the audio. */
export const later = ({ words, ...segment }: Segment, seconds: number): Segment => ({
  ...shifted(segment, seconds),
  ...(words && { words: words.map((word) => shifted(word, seconds)) }),
});

const shifted = <T extends TimedText>(span: T, seconds: number): T => ({
  ...span,
  start: Math.round((span.start + seconds) * 1_000) / 1_000,
  end: Math.round((span.end + seconds) * 1_000) / 1_000,
});
