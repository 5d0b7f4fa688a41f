/*
 * Who said what: a transcript with times joined with what is known of who spoke when. Times are in seconds from the start
 * of the audio, as in the segments of a `transcribe` stage.
 */

/** A part of a transcript. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly words?: readonly Word[] | undefined;
}

interface Word {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What a `detect` stage has heard of a speaker. */
export interface Heard {
  readonly label: string;
  readonly span?: { readonly startMs: number; readonly endMs: number } | undefined;
}

/** What one speaker says until another does. Without a speaker: nobody was heard at that time. */
export interface Turn {
  start: number;
  end: number;
  speaker?: string | undefined;
  text: string;
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly speaker: string;
}

/** A word may have no length. */
const LEAST_SECONDS = 0.001;

/** A speaker whose name is not known, in a text for people and models. */
const UNKNOWN = 'unknown';

/**
 * The transcript as turns, in order. The speaker of a segment, or of each of its words if it has words, is the one that was
 * heard longest during its time. A segment during which nobody was heard stays without; a word in a pause belongs to the word
 * before it.
 */
export function turnsOf(segments: readonly Segment[], heard: readonly Heard[]): Turn[] {
  const spans = spansOf(heard);
  const turns: Turn[] = [];
  let first = 0;
  for (const segment of segments.toSorted((a, b) => a.start - b.start)) {
    while ((spans[first]?.end ?? Number.POSITIVE_INFINITY) <= segment.start) first++;
    let behind = first;
    while ((spans[behind]?.start ?? Number.POSITIVE_INFINITY) < endOf(segment)) behind++;
    for (const part of partsOf(segment, spans.slice(first, behind))) append(turns, part);
  }
  return turns;
}

const spansOf = (heard: readonly Heard[]): Span[] =>
  heard
    .flatMap(({ label, span }) =>
      span ? [{ start: span.startMs / 1_000, end: span.endMs / 1_000, speaker: label }] : [],
    )
    .toSorted((a, b) => a.start - b.start);

const endOf = ({ start, end }: Word): number => Math.max(end, start + LEAST_SECONDS);

/** The parts of a segment with one speaker each. */
function partsOf(segment: Segment, near: readonly Span[]): Turn[] {
  const { start, end, text, words = [] } = segment;
  const speakers = near.length > 1 ? filled(words.map((word) => speakerOf(word, near))) : [];
  if (new Set(speakers).size < 2) return [turn({ start, end, text }, speakers[0] ?? speakerOf(segment, near))];
  // Languages that part no words by spaces.
  const between = /\s/u.test(text.trim()) ? ' ' : '';
  const parts: { words: Word[]; speaker: string | undefined }[] = [];
  words.forEach((word, i) => {
    const last = parts.at(-1);
    if (last && last.speaker === speakers[i]) last.words.push(word);
    else parts.push({ words: [word], speaker: speakers[i] });
  });
  return parts.map((part) => {
    const [from, to] = [part.words[0] as Word, part.words.at(-1) as Word];
    const said = part.words.map((word) => word.text.trim()).join(between);
    return turn({ start: from.start, end: to.end, text: said }, part.speaker);
  });
}

/** The speaker that was heard longest while something was said; of equals the one that began first. */
function speakerOf(said: Word, spans: readonly Span[]): string | undefined {
  const shared = new Map<string, number>();
  for (const { start, end, speaker } of spans) {
    const seconds = Math.min(endOf(said), end) - Math.max(said.start, start);
    if (seconds > 0) shared.set(speaker, (shared.get(speaker) ?? 0) + seconds);
  }
  let best: readonly [string, number] | undefined;
  for (const each of shared) if (best === undefined || each[1] > best[1]) best = each;
  return best?.[0];
}

/** Words without a speaker belong to the word before, those at the beginning to the first that has one. */
function filled(speakers: readonly (string | undefined)[]): (string | undefined)[] {
  let last = speakers.find((speaker) => speaker !== undefined);
  return speakers.map((speaker) => {
    last = speaker ?? last;
    return last;
  });
}

const turn = ({ start, end, text }: Word, speaker: string | undefined): Turn => ({
  start,
  end,
  ...(speaker !== undefined && { speaker }),
  text: text.trim(),
});

function append(turns: Turn[], next: Turn): void {
  const last = turns.at(-1);
  if (last && last.speaker === next.speaker) {
    last.end = Math.max(last.end, next.end);
    last.text = `${last.text} ${next.text}`.trim();
  } else turns.push(next);
}

/** How long each speaker was heard, in the order in which they began. */
export function speakersOf(heard: readonly Heard[]): { speaker: string; seconds: number }[] {
  const all = new Map<string, number>();
  for (const { start, end, speaker } of spansOf(heard)) all.set(speaker, (all.get(speaker) ?? 0) + end - start);
  return [...all].map(([speaker, seconds]) => ({ speaker, seconds: Math.round(seconds * 10) / 10 }));
}

export const transcriptOf = (turns: readonly Turn[]): string =>
  turns.map(({ speaker = UNKNOWN, text }) => `${speaker}: ${text}`).join('\n');

/** The transcript in parts of at most so many characters, unless a word is longer; each line begins with its speaker. */
export function partsFor(turns: readonly Turn[], most: number): string[] {
  const parts: string[] = [];
  for (const { speaker = UNKNOWN, text } of turns) {
    const name = `${speaker}:`;
    for (const line of linesOf(text, most - name.length - 1)) {
      const last = parts.at(-1);
      const more = `${name} ${line}`;
      if (last !== undefined && last.length + 1 + more.length <= most) parts[parts.length - 1] = `${last}\n${more}`;
      else parts.push(more);
    }
  }
  return parts;
}

/** A text in lines of at most so many characters, cut between words. */
function linesOf(text: string, most: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/u).filter(Boolean)) {
    if (line !== '' && line.length + 1 + word.length > most) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}
