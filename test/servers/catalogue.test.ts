import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack } from '../support/embedded-stack.js';
import { address } from '../support/runs.js';
import { inferences } from '../support/triton.js';
import { STACKS } from './commands.js';
import { modelsFiles, writeModels } from './moved-models.js';
import { forget, newTenant, type Outcome, outcomeOf } from './outcome.js';

/**
 * Pipelines of the catalogue with their models on other servers than Triton. Between the runs only the models file differs;
 * the files are those of docs/reference/servers/moving.md. Weights and code of the models are those of the embedded stack.
 */

/** Greatest difference of a number of a vector, and of a passage's score. The page states both. */
const VECTOR_TOLERANCE = 1e-4;
const SCORE_TOLERANCE = 1e-3;

const MOVED = ['minilm', 'rerank', 'moderation'];

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-moved-'));
const tenants: string[] = [];
const tenant = () => {
  const name = newTenant();
  tenants.push(name);
  return name;
};

/** Successful calls of the models at Triton since it was started. */
async function callsAtTriton(): Promise<number> {
  const counts = await Promise.all(MOVED.map(inferences));
  return counts.reduce((sum, count) => sum + count, 0);
}

const farthest = (some: readonly number[], others: readonly number[]): number =>
  Math.max(...some.map((value, i) => Math.abs(value - (others[i] ?? Number.POSITIVE_INFINITY))));
const withoutScores = ({ answers }: Outcome) =>
  answers.map(({ answer, passages }) => ({ answer, passages: passages.map(({ score: _, ...passage }) => passage) }));
const scoresOf = ({ answers }: Outcome) => answers.flatMap(({ passages }) => passages.map(({ score }) => score));

let stop: (() => Promise<unknown>) | undefined;
const tritonTenant = tenant();
let onTriton: Outcome;
beforeAll(async () => {
  stop = await startStack();
  const before = await callsAtTriton();
  onTriton = await outcomeOf(writeModels(folder, 'Triton', ''), tritonTenant);
  expect(await callsAtTriton()).toBeGreaterThan(before);
});
afterAll(async () => {
  if (stop) await forget(tenants);
  await stop?.();
  rmSync(folder, { recursive: true, force: true });
});

it('the page has a models file for each server', () => {
  expect([...modelsFiles().keys()]).toEqual(['Triton', ...Object.keys(STACKS)]);
});

it('Triton serves all of these models when the file says so', () => {
  const at = address('TRITON_URL');
  expect([...onTriton.servedBy].toSorted()).toEqual(MOVED.map((model) => `${model}: done at ${at}`).toSorted());
});

describe.each(Object.keys(STACKS))('pipelines of the catalogue on %s', (title) => {
  let url: string;
  let outcome: Outcome;
  let atTriton: number;
  beforeAll(async () => {
    const server = await STACKS[title]?.();
    if (!server) throw new Error(`no server ${title}`);
    ({ url } = server);
    try {
      const models = writeModels(folder, title, url);
      const before = await callsAtTriton();
      outcome = await outcomeOf(models, tenant(), tritonTenant);
      atTriton = (await callsAtTriton()) - before;
    } finally {
      await server.stop();
    }
    const vectors = farthest(outcome.vectors.flat(), onTriton.vectors.flat());
    const scores = farthest(scoresOf(outcome), scoresOf(onTriton));
    process.stderr.write(`${title}: vectors differ by ${vectors} at most, scores by ${scores}\n`);
  });

  it('call nothing on Triton, and each of the models here', () => {
    expect([...outcome.servedBy].toSorted()).toEqual(MOVED.map((model) => `${model}: done at ${url}`).toSorted());
    expect(atTriton).toBe(0);
  });

  it('are the same plans', () => {
    expect(outcome.versions).toEqual(onTriton.versions);
  });

  it('give the same answers, from the same passages', () => {
    expect(withoutScores(outcome)).toEqual(withoutScores(onTriton));
    expect(farthest(scoresOf(onTriton), scoresOf(outcome))).toBeLessThan(SCORE_TOLERANCE);
  });

  it('give the same vectors', () => {
    expect(outcome.vectors.map(({ length }) => length)).toEqual(onTriton.vectors.map(() => 384));
    expect(farthest(onTriton.vectors.flat(), outcome.vectors.flat())).toBeLessThan(VECTOR_TOLERANCE);
  });

  it('judge messages alike', () => {
    expect(outcome.moderated).toEqual(onTriton.moderated);
    expect(outcome.moderated.map((each) => (each as { label?: string }).label)).toEqual(['safe', 'safe', 'unsafe']);
  });

  it('do not search the index that Triton’s embedder has made', () => {
    expect(outcome.otherIndex).toContain('INDEX_MISMATCH');
  });
});
