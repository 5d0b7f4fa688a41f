import type { Usage } from '../connectors/connector.js';

/** Most tokens of one call that are believed: hundreds of times the longest context there is. */
const MOST_TOKENS = 1_000_000_000;

/**
 * What of a server's account of a call can be counted: whole numbers of tokens, and seconds, from 0. The rest is left out, as if the server
 * had said nothing: a negative number would give an agent its budget back, and no counter of Prometheus takes one.
 */
export const countableUsage = ({ inputTokens, outputTokens, audioSeconds }: Usage = {}): Usage => ({
  ...(isTokens(inputTokens) && { inputTokens }),
  ...(isTokens(outputTokens) && { outputTokens }),
  ...(isSeconds(audioSeconds) && { audioSeconds }),
});

const isTokens = (count: unknown): count is number =>
  Number.isInteger(count) && (count as number) >= 0 && (count as number) <= MOST_TOKENS;

const isSeconds = (seconds: unknown): seconds is number => Number.isFinite(seconds) && (seconds as number) >= 0;
