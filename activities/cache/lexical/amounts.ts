import { isNumber } from './numbers.js';
import { type Token, tokenOf, wordAt } from './tokens.js';

/** Symbols of units that have no other meaning behind a number. */
const WRITTEN = new Map([
  ['km', 'kilometers'],
  ['cm', 'centimeters'],
  ['mm', 'millimeters'],
  ['ml', 'milliliters'],
  ['kg', 'kilograms'],
]);

/** `20%` and `20 per cent` as `20 percent`, `5 km` as `5 kilometers`. */
export function usualAmounts(tokens: readonly Token[]): readonly Token[] {
  return tokens.flatMap((token, i): readonly Token[] => {
    const before = i === 0 ? '' : wordAt(tokens, i - 1);
    if (token.word === 'cent' && before === 'per' && isNumber(wordAt(tokens, i - 2))) return [];
    if (!isNumber(before)) return [token];
    if (token.word === '%' || (token.word === 'per' && tokens[i + 1]?.word === 'cent')) return [tokenOf('percent')];
    const unit = before === '1' ? undefined : WRITTEN.get(token.raw);
    return [unit === undefined ? token : tokenOf(unit)];
  });
}
