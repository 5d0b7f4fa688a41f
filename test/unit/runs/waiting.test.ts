import type { Client } from '@temporalio/client';
import { expect, it } from 'vitest';
import type { Wait } from '../../../pipelines/run/index.js';
import { waitingIn } from '../../../runs/waiting.js';
import { waitFor } from '../../support/waits.js';

const waitsOf = (count: number): readonly Wait[] =>
  Array.from({ length: count }, (_, i) => ({ ...waitFor(`vote-${i}`), subject: 'x'.repeat(9_000) }));
const temporalWith = (waits: readonly Wait[]) =>
  ({ workflow: { getHandle: () => ({ query: async () => waits }) } }) as unknown as Client;

it('the waits of one run are whole as long as a workflow answers with them', async () => {
  const [most, more] = [waitsOf(200), waitsOf(256)];
  expect(await waitingIn({ temporal: temporalWith(most) }, 'review-1', [])).toEqual(most);
  const short = await waitingIn({ temporal: temporalWith(more) }, 'review-1', []);
  expect(short).toHaveLength(256);
  expect(short[0]).toMatchObject({ nonce: more[0]?.nonce, shortened: true });
});
