import type { Load } from '../simulator/index.js';
import { numberAt } from './number-at.js';

/** How a stage reads a stream: its maker's tokens, and those of a piece. */
export interface Pieces {
  readonly column: string;
  readonly typical: number;
  readonly pieceTokens: number;
}

/** By run, how many pieces its stream has: at least one. */
export function piecesAt(load: Load, { column, typical, pieceTokens }: Pieces): (run: number) => number {
  const tokens = numberAt(load, column, typical);
  return (run) => Math.max(1, Math.ceil(tokens(run) / pieceTokens));
}
