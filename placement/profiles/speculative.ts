import type { ContinuousProfile } from './schema.js';

type Row = ContinuousProfile['decode'][number];
type Speculative = NonNullable<ContinuousProfile['speculative']>;

/**
 * The profile as speculative decoding changes its time per token: unchanged without `speculative`, or where its rows were
 * measured with it.
 *
 * A step checks the `tokens` drafted for each sequence and yields one token more than the accepted ones:
 * (1 - a^(k + 1)) / (1 - a) on average, if each is accepted with probability a (Leviathan, Kalman, Matias: Fast Inference from
 * Transformers via Speculative Decoding, ICML 2023, equation 1). The check of k + 1 tokens of a sequence is taken to cost as
 * much as a step of k + 1 sequences, since it computes as much; it reads the cache less often. So the gain shrinks as batches
 * grow, as it does on servers.
 */
export function withSpeculation(profile: ContinuousProfile): ContinuousProfile {
  const { speculative, decode } = profile;
  if (speculative === undefined || speculative.included) return profile;
  const drafted = 1 + speculative.tokens * speculative.draftCost;
  return {
    ...profile,
    decode: decode.map((row) => {
      const steps = growth(decode, row, row.batch * (speculative.tokens + 1));
      return scaled(row, (steps * drafted) / tokensPerStep(speculative));
    }),
  };
}

/** Tokens that a step yields for a sequence on average. */
export const tokensPerStep = ({ tokens, acceptance }: Pick<Speculative, 'tokens' | 'acceptance'>): number =>
  acceptance === 1 ? tokens + 1 : (1 - acceptance ** (tokens + 1)) / (1 - acceptance);

/** How much longer a step of a larger batch takes: by the rows at this context, or at the one with the most batches. */
function growth(decode: readonly Row[], row: Row, batch: number): number {
  const at = (tokens: number | undefined) => decode.filter((each) => each.tokens === tokens);
  const own = at(row.tokens);
  const most = decode.map(({ tokens }) => at(tokens)).reduce((a, b) => (b.length > a.length ? b : a));
  const rows = (own.length > 1 ? own : most).toSorted((a, b) => a.batch - b.batch);
  return rows.length < 2 ? 1 : Math.max(1, stepMs(rows, batch) / stepMs(rows, row.batch));
}

/** Median of a step, interpolated between batches; beyond the last it grows as between the last two. */
function stepMs(rows: readonly Row[], batch: number): number {
  const next = rows.findIndex((row) => row.batch >= batch);
  const i = next < 0 ? rows.length - 1 : Math.max(1, next);
  const [low, high] = [rows[i - 1] as Row, rows[i] as Row];
  const slope = (high.p50Ms - low.p50Ms) / (high.batch - low.batch);
  return next < 0 ? high.p50Ms + Math.max(0, slope) * (batch - high.batch) : low.p50Ms + slope * (batch - low.batch);
}

const scaled = ({ p50Ms, p95Ms, p99Ms, meanMs, ...key }: Row, factor: number): Row => ({
  ...key,
  p50Ms: p50Ms * factor,
  ...(p95Ms !== undefined && { p95Ms: p95Ms * factor }),
  ...(p99Ms !== undefined && { p99Ms: p99Ms * factor }),
  ...(meanMs !== undefined && { meanMs: meanMs * factor }),
});
