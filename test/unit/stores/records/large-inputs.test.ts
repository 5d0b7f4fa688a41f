import { expect, it } from 'vitest';
import type { JsonObject } from '../../../../pipelines/json.js';
import { recordKey } from '../../../../stores/records/index.js';
import { callOf, ended, recording } from './recording.js';

const LARGE = { text: 'x'.repeat(20_000) };

/** What the record has of calls, by their stages. */
const entriesIn = (hash: ReadonlyMap<string, string>) =>
  Object.fromEntries(
    [...hash]
      .filter(([field]) => !/^[@=]/.test(field))
      .map(([, text]) => JSON.parse(text) as JsonObject)
      .map((entry) => [String(entry.stage), entry]),
  );

it('a large input is stored nowhere, neither of a call that has succeeded nor of one that has failed', async () => {
  const { records, hashAt, files, gaps } = recording();
  for (const sealed of [true as const, undefined]) {
    const of = (stage: string) => callOf({ stage: `${stage}-${sealed}`, ...(sealed && { sealed }) });
    await records.keep(ended('run', of('done'), LARGE, { n: 1 }));
    await records.keep(ended('run', of('failed'), LARGE, 'CODE_FAILED'));
    await records.keep(ended('run', of('small'), { n: 1 }, { n: 2 }));
  }
  expect([files.size, gaps]).toEqual([0, []]);
  const entries = entriesIn(hashAt(recordKey('run')));
  expect(Object.keys(entries)).toHaveLength(6);
  for (const [stage, entry] of Object.entries(entries)) {
    expect(entry.digest, stage).toMatch(/^[0-9a-f]{64}$/);
    if (stage.startsWith('small')) expect(entry.input, stage).toEqual({ json: { n: 1 } });
    else expect(entry, stage).not.toHaveProperty('input');
  }
});

it('a call is taken over by the digest of its large input, with its large output', async () => {
  const { records, files } = recording();
  const own = callOf({ sealed: true });
  await records.keep(ended('run', own, LARGE, LARGE));
  expect(files.size).toBe(1);
  await records.hold('run', { ended: [], repeat: false }, 1);
  expect(await records.before('run-r1', own, LARGE)).toMatchObject({ outcome: { output: LARGE } });
  await expect(records.before('run-r1', own, { ...LARGE, n: 1 })).rejects.toMatchObject({ code: 'RESUME_DIVERGED' });
});
