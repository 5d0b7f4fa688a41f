import { round } from '../figures.js';
import type { byKind, Figures, Splits } from './judge.js';

/** What the bench finds of one set. */
export interface SetFigures extends Figures {
  readonly kinds: ReturnType<typeof byKind>;
  readonly certified: Readonly<
    Record<string, { readonly splits: Splits; readonly bestThreshold: { readonly hitRate: number } }>
  >;
  /** Processor time of the verifier for a pair, in milliseconds, over `pairs` of the set. */
  readonly verifierMs: { readonly pairs: number; readonly p50: number; readonly p95: number };
}

/** The table of docs/benchmarks.md, in Markdown: a row for each set. */
export function tableOf(
  sets: Readonly<Record<string, SetFigures>>,
  rivals: Readonly<Record<string, Readonly<Record<string, Figures>>>>,
): string {
  const head = [
    'set',
    'pairs',
    'hits of the guard',
    'wrong',
    'certified at 5 %: hits, errors',
    'certified at 10 %: hits, errors',
    'best static cosine at 10 %, in hindsight',
    'cosine 0.9 (default of others): hits, errors',
    'verifier, CPU ms: p50, p95',
  ];
  const rows = Object.entries(sets).map(([name, { pairs, hitRate, wrong, certified, verifierMs }]) => {
    const at = (delta: string) => both(certified[delta]?.splits);
    return [
      name,
      pairs,
      percent(hitRate),
      wrong,
      at('0.05'),
      at('0.1'),
      percent(certified['0.1']?.bestThreshold.hitRate),
      both(rivals[name]?.['LangCache (0.9)']),
      `${verifierMs.p50}, ${verifierMs.p95}`,
    ];
  });
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

/** A share that was not measured is no 0 %. */
const percent = (share = Number.NaN): string => (Number.isNaN(share) ? '–' : `${round(share * 100, 1).toFixed(1)} %`);

const both = (found?: { readonly hitRate: number; readonly errorRate: number }): string =>
  `${percent(found?.hitRate)}, ${percent(found?.errorRate)}`;
