/** How a fact may be put: each a text that a right answer contains. */
export type Wordings = readonly string[];

/** Lower-case words and numbers between spaces: without accents, separators of thousands, hyphens, ordinals, articles. */
export function normalised(text: string): string {
  const words = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/(?<=\d)[,.’'\u00a0\u202f](?=\d{3}(?!\d))/gu, '')
    .replace(/(?<=[\p{L}\p{N}])[-‐-–_](?=[\p{L}\p{N}])/gu, '')
    .replace(/(?<=\d)(?:st|nd|rd|th)(?![\p{L}\p{N}])/gu, '')
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '' && word !== 'the' && word !== 'of');
  return ` ${words.join(' ')} `;
}

/** Whether a text states a fact in one of its wordings, as whole words. */
export function states(text: string, wordings: Wordings): boolean {
  const stated = normalised(text);
  return wordings.some((wording) => stated.includes(normalised(wording)));
}
