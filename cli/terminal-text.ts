/** The styles that this program writes: bold, dim, red and green, and their ends. */
const OWN = '\u001b\\[(?:1|2|22|31|32|39)m';
/** What a terminal obeys rather than shows: controls, and changes of the direction of writing. */
const OBEYED = '[\\p{Cc}\\u202a-\\u202e\\u2066-\\u2069]';
const EITHER = new RegExp(`${OWN}|${OBEYED}`, 'gu');

/**
 * A text for a terminal, in which a control is shown by its number (`\u{1b}`): models, callers and servers write much of what is shown,
 * and a terminal obeys sequences that clear it, rename its window or fill the clipboard. Line ends and tabs stay.
 */
export const terminalText = (text: string): string =>
  text
    .replaceAll('\r\n', '\n')
    .replace(EITHER, (found) => (found.length > 1 || found === '\n' || found === '\t' ? found : byNumber(found)));

/** The same for what has to stay on its line. */
export const terminalLine = (text: string): string => terminalText(text).replace(/[\n\t]/g, byNumber);

/**
 * JSON of the same value, in which what a terminal obeys is escaped (`\u009b`). Only strings have it: the rest of JSON is plain, and
 * `JSON.stringify` escapes the controls below the space itself.
 */
export const terminalJson = (json: string): string =>
  json.replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escaped);

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

const byNumber = (character: string): string => `\\u{${character.codePointAt(0)?.toString(16)}}`;
