/** About half a minute of speech. Voices are trained on sentences and lose their tone in much longer texts. */
const LONGEST = 400;

/** Ends of sentences and lines; of clauses; of words. Tried in this order. */
const BREAKS = [/(?<=[.!?…。！？]["”’)\]]*)\s+|\s*\n\s*/u, /(?<=[,;:—–，；：])\s+/u, /\s+/u] as const;

/**
 * Text in passages of at most 400 characters: as many whole sentences as fit, a longer sentence at its clauses, a longer
 * clause between words. Empty when the text has no word.
 */
export function speakable(text: string): string[] {
  const passages: string[] = [];
  for (const piece of pieces(text.trim(), 0)) {
    const last = passages.at(-1);
    if (last !== undefined && last.length + 1 + piece.length <= LONGEST)
      passages[passages.length - 1] = `${last} ${piece}`;
    else passages.push(piece);
  }
  return passages;
}

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
