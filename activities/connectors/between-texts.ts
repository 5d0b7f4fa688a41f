/** Letters of scripts that write no spaces between words, and their marks. */
const UNSPACED = String.raw`[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}！？，：；．～]`;
const ENDS = new RegExp(`${UNSPACED}$`, 'u');
const BEGINS = new RegExp(`^${UNSPACED}`, 'u');

/** What stands between two pieces of a text: a space, unless the script has none there or a piece is empty. */
export function between(before: string, after: string): '' | ' ' {
  if (before === '' || after === '') return '';
  // The last character, of one or two units: a long text would be searched from its start.
  return ENDS.test(before.slice(-2)) && BEGINS.test(after) ? '' : ' ';
}
