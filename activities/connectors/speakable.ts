/** About half a minute of speech. Voices are trained on sentences and lose their tone in much longer texts. */
const LONGEST = 400;

/**
 * Ends of sentences and lines; of clauses; of words. Tried in this order, on text whose white space is single characters.
 * The look ahead comes first, so that what stands before is looked at where a break can be and not at every character.
 */
const BREAKS = [/(?=\s)(?<=[.!?…。！？]["”’)\]]*)\s|\n/u, /(?<=[,;:—–，；：])\s/u, /\s/u] as const;

/**
 * Text in passages of at most 400 characters: as many whole sentences as fit, a longer sentence at its clauses, a longer
 * clause between words. Empty when the text has no word.
 */
export function speakable(text: string): string[] {
  const passages: string[] = [];
  for (const piece of pieces(spaced(text), 0)) {
    const last = passages.at(-1);
    if (last !== undefined && last.length + 1 + piece.length <= LONGEST)
      passages[passages.length - 1] = `${last} ${piece}`;
    else passages.push(piece);
  }
  return passages;
}

/**
 * With every run of white space as one character, a line break if it holds one. The callers' text may be a megabyte of
 * spaces, in which a pattern such as `\s*\n` would look for its end from each of them.
 */
const spaced = (text: string): string => text.trim().replace(/\s+/gu, (run) => (run.includes('\n') ? '\n' : ' '));

function pieces(text: string, level: number): string[] {
  if (text.length <= LONGEST) return text === '' ? [] : [text];
  const pattern = BREAKS[level];
  if (pattern === undefined) return slices(text);
  return text.split(pattern).flatMap((part) => pieces(part.trim(), level + 1));
}

/** A "word" too long to speak at once, cut between code points. */
function slices(text: string): string[] {
  const points = [...text];
  const result: string[] = [];
  for (let at = 0; at < points.length; at += LONGEST / 2) result.push(points.slice(at, at + LONGEST / 2).join(''));
  return result;
}
